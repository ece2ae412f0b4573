"""How many tokens of a data set have a word vector, as the files have them and after our tokenizer.

    python bench/tokenizer_coverage.py --vectors glove.6B.50d.txt.gz trecqa/train-all trecqa/raw-dev
    python bench/tokenizer_coverage.py --vectors glove.6B.50d.txt.gz sst/stsa.fine.train.tsv sst/stsa.fine.dev.tsv

Takes TrecQA and WikiQA folders and SST files; prints the union of what it was given, every pair counted.
"""

from collections import Counter
from pathlib import Path

from inference.tokenizer import tokenize
from toolkit import cli
from toolkit.cli import run
from toolkit.vectors.file import read_vectors


def texts(path: Path) -> list[str]:
    """Return the sentences of a TrecQA or WikiQA folder, or of an SST file."""
    files = [path / "a.toks", path / "b.toks"] if path.is_dir() else [path]
    lines = [line for file in files for line in file.read_text(encoding="utf-8").split("\n")]
    return lines if path.is_dir() else [line.partition("\t")[2] for line in lines]


def main() -> int:
    """Run the command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--vectors", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for path in options.data:
        for text in texts(path):
            before.update(text.split())
            after.update(tokenize(text))
    known = {word for word, _ in read_vectors(options.vectors) if word in before or word in after}
    print("            tokens  have a vector   share")
    for name, words in (("as it is", before), ("tokenized", after)):
        total = words.total()
        found = sum(count for word, count in words.items() if word in known)
        print(f"{name:<9} {total:>8}  {found:>13}  {found / total:.4f}")
    return 0


if __name__ == "__main__":
    run(main)
