"""Write the vocabulary of texts: every distinct word, one a line, sorted, split exactly as serving splits.

Example:
  python utils/generate_vocab.py train/a.toks train/b.toks.gz vocabulary.txt
  python utils/generate_vocab.py tickets.csv --model tickets.model vocabulary.txt
  python utils/generate_vocab.py qa.jsonl --text-column question --text-column answer vocabulary.txt
  cat questions.txt | python utils/generate_vocab.py - vocabulary.txt

An INPUT is plain text, or CSV, TSV or JSON lines, whose column `text` is read unless --text-column names others. With
--model, texts are split as that model splits them, marks of case and placeholders included, and the words of its check
are added, which a deployment asks for.
An OUTPUT that exists is overwritten only if it has one word a line, as a vocabulary has: a text whose name was given
last by mistake stays.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

import kim_cnn.predict
import sm_cnn.predict
from inference.fields import distinct_words
from inference.model_file import ModelFileError
from inference.service import Predict
from inference.settings import Settings
from inference.tokenizer import Tokenizer, tokenize
from toolkit import cli
from toolkit.cli import CommandError
from toolkit.texts import add_text_column, read_texts


def vocabulary(texts: Iterable[str], tokenizer: Tokenizer = tokenize) -> list[str]:
    """Return the distinct words of `texts`, sorted by code point."""
    return sorted({word for text in texts for word in tokenizer(text)})


def read_model(path: Path) -> tuple[Tokenizer, set[str]]:
    """Return the tokenizer of a model file and the words of its check; raise ModelFileError if it is none."""
    predict: Predict = kim_cnn.predict
    try:
        model = predict.load(path)
    except ModelFileError:
        predict = sm_cnn.predict
        model = predict.load(path)
    settings = Settings()
    tokenizer = Tokenizer.from_config(model.config, settings.max_words)
    if not model.check:
        return tokenizer, set()
    return tokenizer, set(distinct_words(predict.read(model.check["request"], tokenizer, settings), settings))


def check_output(name: str) -> None:
    """Raise CommandError when the file to write exists and is no vocabulary."""
    if name == "-" or not Path(name).is_file():
        return
    try:
        other = any(len(line.split()) > 1 for line in cli.read_lines(name))
    except CommandError:  # not even text
        other = True
    if other:
        raise CommandError(f"{name} exists and is no vocabulary (one word a line); name the file to write last")


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = cli.parser(__doc__)
    parser.add_argument("input", nargs="+", metavar="INPUT", help="texts, compressed or not; - for stdin")
    parser.add_argument("output", metavar="OUTPUT", help="vocabulary to write; - for stdout")
    add_text_column(parser)
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="split as this model does, and add its check's words"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)
    if arguments.output != "-" and arguments.output in arguments.input:
        parser.error(f"{arguments.output} is both read and written; name another file to write")
    check_output(arguments.output)
    tokenizer, of_check = read_model(arguments.model) if arguments.model else (tokenize, set())
    texts = (text for name in arguments.input for text in read_texts(name, arguments.text_column))
    words = vocabulary(tqdm(texts, "reading", unit=" lines", disable=arguments.quiet or None), tokenizer)
    if not words:
        raise CommandError(f"no words in {', '.join(arguments.input)}")
    words = sorted({*words, *of_check})
    with cli.open_output(arguments.output) as output:
        output.writelines(f"{word}\n" for word in words)
    print(f"{len(words):,} words", file=sys.stderr)
    return 0


if __name__ == "__main__":
    cli.run(main)
