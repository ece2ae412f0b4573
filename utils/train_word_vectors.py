"""Train word vectors on text of your own, and write them as word2vec text, which the upload and the training read.

Example:
  python utils/train_word_vectors.py tickets.txt.gz mails.txt own.vectors.txt
  python utils/train_word_vectors.py tickets.csv posts.jsonl own.vectors.txt.gz --method fasttext --dimensions 50

Each line of a TEXT is a text of its own, or in CSV, TSV and JSON lines each row: its column `text`, or those that
--text-column names. Texts are split into words as serving splits them, with placeholders (`<url>`, `<email>`, `<user>`,
`<number>`). gensim trains the vectors, by word2vec or fastText, both with skip-grams. The same texts, options and seed
give the same file, byte for byte: so one thread trains. Words come most frequent first. An OUTPUT that exists is
overwritten only if it holds word vectors.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from inference.item_format import can_be_key
from inference.tokenizer import Tokenizer
from toolkit import cli
from toolkit.cli import CommandError
from toolkit.texts import add_text_column, read_texts
from toolkit.vectors.file import VectorFile
from toolkit.vectors.text import to_line, write_text

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

METHODS = ("word2vec", "fasttext")

# As models of one's own data have it, but for their marks of case, each of which would take a neighbour's place.
TOKENIZER = Tokenizer(placeholders=True)


class Sentences:
    """The sentences of a corpus, which gensim reads again for each epoch, with a progress bar."""

    def __init__(self, sentences: Iterable[list[str]], bar: Any):
        """Update `bar` by one a sentence."""
        self.sentences, self.bar = sentences, bar

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the words of each sentence."""
        for sentence in self.sentences:
            yield sentence
            self.bar.update()


def write_corpus(texts: Iterable[str], path: Path) -> None:
    """Write the words of each text that has some as a line, separated by spaces; words that no table holds left out."""
    with path.open("w", encoding="utf-8") as lines:
        for text in texts:
            if words := list(filter(can_be_key, TOKENIZER(text))):
                lines.write(" ".join(words) + "\n")


def train(
    corpus: Path, method: str, dimensions: int, min_count: int, epochs: int, seed: int, quiet: bool = False
) -> "KeyedVectors":
    """Return vectors of the words that `corpus`, a text of a line a sentence, has `min_count` times or more.

    Raises CommandError when there are none.
    """
    from gensim.models import FastText, Word2Vec  # here: it takes a second, and a wrong option needs none of it
    from gensim.models.word2vec import LineSentence

    sentences = LineSentence(str(corpus))
    model = (FastText if method == "fasttext" else Word2Vec)(
        vector_size=dimensions, min_count=min_count, sg=1, seed=seed, workers=1
    )
    model.build_vocab(sentences)
    if not model.wv.index_to_key:
        raise CommandError(f"no word occurs {min_count} times; give more text, or a lower --min-count")
    with tqdm(desc="training", total=epochs * model.corpus_count, unit=" lines", disable=quiet or None) as bar:
        model.train(Sentences(sentences, bar), total_examples=model.corpus_count, epochs=epochs)
    return model.wv


def check_output(name: str) -> None:
    """Raise CommandError when the file to write exists and holds no word vectors."""
    if name == "-" or not Path(name).is_file():
        return
    try:
        VectorFile(Path(name))
    except CommandError:
        raise CommandError(f"{name} exists and holds no word vectors; name the file to write last") from None


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; exits with code 2 when they don't fit together."""
    parser = cli.parser(__doc__)
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="compressed or not; - for stdin")
    parser.add_argument("output", metavar="OUTPUT", help="word2vec text to write, compressed if named so; - for stdout")
    add_text_column(parser)
    parser.add_argument("--method", choices=METHODS, default=METHODS[0], help=f"(default: {METHODS[0]})")
    parser.add_argument("--dimensions", type=cli.positive, default=100, metavar="N", help="of a vector (default: 100)")
    parser.add_argument(
        "--min-count", type=cli.positive, default=2, metavar="N", help="leave out rarer words (default: 2)"
    )
    parser.add_argument("--epochs", type=cli.positive, default=20, metavar="N", help="(default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same vectors (default: 1)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(argv)
    if options.output != "-" and options.output in options.texts:
        parser.error(f"{options.output} is both read and written; name another file to write")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parse(argv)
    logging.getLogger("gensim").setLevel(logging.ERROR)  # it warns of texts as short as a first try's
    check_output(options.output)
    texts = (text for name in options.texts for text in read_texts(name, options.text_column))
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.txt"
        write_corpus(tqdm(texts, "reading", unit=" lines", disable=options.quiet or None), corpus)
        vectors = train(
            corpus, options.method, options.dimensions, options.min_count, options.epochs, options.seed, options.quiet
        )
    with cli.open_output(options.output) as output:
        lines = map(to_line, vectors.index_to_key, vectors.vectors)
        write_text(output, len(vectors), options.dimensions, lines)
    print(f"{len(vectors):,} words, {options.dimensions}-dimensional", file=sys.stderr)
    return 0


if __name__ == "__main__":
    cli.run(main)
