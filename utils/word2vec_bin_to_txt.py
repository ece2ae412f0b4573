"""Convert word vectors to word2vec text: a header, then a word and its numbers a line.

Example:
  python utils/word2vec_bin_to_txt.py GoogleNews-vectors-negative300.bin.gz GoogleNews.txt.gz --limit 500000
  python utils/word2vec_bin_to_txt.py cc.en.300.bin fasttext.txt

IN is word2vec binary or text, GloVe text, a fastText .bin model, or what gensim's save() wrote, with its side files.
The latter is a Python pickle, which can run any code when it is read: it takes --unpickle. Every number reads back as
the same float32. OUT is compressed when it ends in .gz, .bz2 or .xz. Models of gensim and fastText are loaded whole,
the other kinds take no more memory the longer they are.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import sys
from collections.abc import Iterator
from itertools import islice, starmap
from pathlib import Path

import numpy as np
from tqdm import tqdm

from toolkit import cli
from toolkit.compression import open_decompressed
from toolkit.vectors.file import FASTTEXT, PICKLES, VectorFile, VectorFileError
from toolkit.vectors.text import to_line, write_text


class Model:
    """Word vectors that gensim loads: its own saves, and fastText models."""

    def __init__(self, path: Path, unpickle: bool):
        """Load `path`, a pickle if `unpickle` says so, else fastText; raise VectorFileError when gensim can't."""
        from gensim.models import KeyedVectors  # here: it takes a second, and most files do without
        from gensim.models.fasttext import load_facebook_vectors

        try:
            model = KeyedVectors.load(str(path)) if unpickle else load_facebook_vectors(str(path))
            vectors = getattr(model, "wv", model)  # of a whole Word2Vec or FastText model
            self.words: list[str] = vectors.index_to_key
            self.vectors: np.ndarray = vectors.vectors
            self.dim = int(vectors.vector_size)
        except Exception as error:  # whatever a damaged or foreign file makes of it
            raise VectorFileError(f"{path}: gensim can't read it ({type(error).__name__}: {error})") from error
        self.path = path

    def read(self, wanted: set[str] | None) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the wanted words with their float32 vectors (dim,)."""
        for word, vector in zip(self.words, self.vectors, strict=True):
            if wanted is None or word in wanted:
                if not word.strip() or "\n" in word or not np.isfinite(vector).all():
                    raise VectorFileError(f"{self.path}: the word {word!r} or its vector can't stand in a text file")
                yield word, vector.astype(np.float32)

    def count(self, wanted: set[str] | None) -> int:
        """Return how many words `read` yields."""
        return len(self.words) if wanted is None else sum(word in wanted for word in self.words)


class Stream:
    """Word vectors of a file that is read word by word."""

    def __init__(self, path: Path):
        """Open `path`; raise VectorFileError when it is another kind."""
        self.file = VectorFile(path)
        self.dim = self.file.dim

    def read(self, wanted: set[str] | None) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the wanted words with their float32 vectors (dim,)."""
        for record in self.file.records():
            word = self.file.word(record)
            if wanted is None or word in wanted:
                yield word, self.file.vector(record)

    def count(self, wanted: set[str] | None) -> int:
        """Return how many words `read` yields: by the header, or by reading the file once."""
        if wanted is None and self.file.count is not None:
            return self.file.count
        return sum(wanted is None or self.file.word(record) in wanted for record in self.file.records())


def open_vectors(path: Path, unpickle: bool) -> Model | Stream:
    """Open a file of any kind; a pickle is loaded only if `unpickle` allows it."""
    with open_decompressed(path) as stream:
        beginning = stream.read(4)
    if beginning.startswith(FASTTEXT):
        return Model(path, unpickle=False)
    if beginning.startswith(PICKLES) and unpickle:
        return Model(path, unpickle=True)
    return Stream(path)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = cli.parser(__doc__)
    parser.add_argument("input", type=Path, metavar="IN")
    parser.add_argument("output", metavar="OUT", help="- for stdout")
    parser.add_argument("--limit", type=cli.positive, metavar="N", help="only the first N words")
    parser.add_argument("--wordlist", type=Path, metavar="FILE", help="only these words, one a line")
    parser.add_argument("--unpickle", action="store_true", help="read a pickle of gensim, whose source you trust")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)

    wanted = set(cli.read_wordlist(arguments.wordlist)) if arguments.wordlist else None
    vectors = open_vectors(arguments.input, arguments.unpickle)
    count = vectors.count(wanted)  # the header comes first
    count = min(count, arguments.limit or count)
    words = tqdm(
        islice(vectors.read(wanted), arguments.limit), total=count, unit=" words", disable=arguments.quiet or None
    )
    with cli.open_output(arguments.output) as output:
        write_text(output, count, vectors.dim, starmap(to_line, words))
    print(f"{count:,} words, {vectors.dim}-dimensional", file=sys.stderr)
    return 0


if __name__ == "__main__":
    cli.run(main)
