"""Put the vectors of the most frequent words in a folder for a deployment package.

utils/create_deployment_package.sh calls it for --vectors. The words are the first of the vector file, where word2vec
and GloVe have the most frequent ones, or the first of a word list. The vectors must be the model's: a model file that
has a check is tried with them.

Example:
  python utils/pack_hot_words.py kim_cnn kim_cnn.model glove.6B.50d.txt build/package/hot_words --words 100000
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from architectures import PREDICT
from inference.check import TOLERANCE
from inference.fields import distinct_words
from inference.model_file import Model
from inference.service import Predict
from inference.settings import Settings
from inference.tokenizer import Tokenizer
from toolkit import cli
from toolkit.cli import CommandError, run
from toolkit.training.model_writer import make_check
from toolkit.vectors import hot_words
from toolkit.vectors.file import VectorFile, load_vectors


def refuse_other_vectors(predict: Predict, model: Model, path: Path, wordlist: Sequence[str] | None) -> None:
    """Raise CommandError when the vectors of the file at `path` are not the model's, as far as its check can tell, or
    the `wordlist` that the table was uploaded with lacks words of the check.
    """
    settings = Settings()
    expected = model.check or {"request": predict.EXAMPLE}
    request = predict.read(expected["request"], Tokenizer.from_config(model.config, settings.max_words), settings)
    words = distinct_words(request, settings)
    vectors = load_vectors(path, words, model.vector_length)
    if not model.check:
        return
    if wordlist is not None and (missing := sorted({*words} - {*wordlist})):
        raise CommandError(
            f"the word list lacks {missing}, which the model's check asks the table for; write it with"
            " utils/generate_vocab.py --model, and upload it"
        )
    found = make_check(predict, model, [expected["request"]], vectors)
    if found is None or not np.allclose(found["logits"], expected["logits"], rtol=0, atol=TOLERANCE):
        raise CommandError(f"{path}: not the vectors that the model was trained with; name these")


def main() -> int:
    """Run the command line; return the exit code."""
    options = cli.parser(__doc__)
    options.add_argument("architecture", choices=sorted(PREDICT))
    options.add_argument("model", type=Path, help="the *.model or *.onnx file")
    options.add_argument("vectors", type=Path, help="the vector file that is, or will be, in the table")
    options.add_argument("folder", type=cli.output_file, help="folder to make")
    options.add_argument(
        "--words", type=cli.positive, metavar="N", help=f"how many (default: as many as take {hot_words.BYTES:,} bytes)"
    )
    options.add_argument("--wordlist", type=Path, metavar="LIST", help="only these words, one a line")
    options.add_argument("--format", choices=sorted(hot_words.DTYPES), default="float32", help="as in the table")
    arguments = options.parse_args()
    predict = PREDICT[arguments.architecture]
    wanted = cli.read_wordlist(arguments.wordlist) if arguments.wordlist else None
    refuse_other_vectors(predict, predict.load(arguments.model), arguments.vectors, wanted)
    file = VectorFile(arguments.vectors)
    count = arguments.words or hot_words.default_count(file.dim, arguments.format)
    words, vectors = hot_words.choose(file, count, arguments.format, wanted and set(wanted))
    hot_words.write(arguments.folder, words, vectors, arguments.vectors)
    cli.log(f"{len(words):,} hot words, {vectors.nbytes:,} bytes of vectors")
    return 0


if __name__ == "__main__":
    run(main)
