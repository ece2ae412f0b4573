"""The command lines of train.py and evaluate.py, the same for both models."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from toolkit import cli
from toolkit.cli import output_file, positive

MODES = ("rand", "static", "non-static", "multichannel")


def evaluation_options(description: str | None, data: str, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of an evaluation; exits with code 2 when they don't fit together. `data`: what --data is."""
    parser = cli.parser(description)
    parser.add_argument("--model", type=Path, metavar="FILE", help="the model file to measure, with its --vectors")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=data)
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="word vectors that it was trained with")
    parser.add_argument("--endpoint", metavar="URL", help="measure the deployed function instead")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(argv)
    if bool(options.endpoint) == bool(options.model) or bool(options.model) != bool(options.vectors):
        parser.error("give either --model and --vectors, or --endpoint")
    return options


def training_parser(description: str | None, datasets: Iterable[str], output: str) -> argparse.ArgumentParser:
    """Return the parser of a training; the first of `datasets` is the default, as is the file `output`."""
    datasets = list(datasets)
    parser = cli.parser(description)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with the data set's files")
    parser.add_argument("--dataset", choices=datasets, default=datasets[0], help=f"which (default: {datasets[0]})")
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="word vectors, text or binary")
    parser.add_argument("--mode", choices=MODES, default="static", help="which vectors are trained (default: static)")
    parser.add_argument("--dim", type=positive, default=50, help="dimensions of mode rand's vectors (default: 50)")
    parser.add_argument("--epochs", type=positive, help="how many, instead of the recipe's")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same model (default: 1)")
    parser.add_argument("--output", type=output_file, default=output, metavar="FILE", help=f"(default: {output})")
    parser.add_argument("--export-vectors", type=output_file, metavar="FILE", help="trained vectors, word2vec text")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def training_options(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of a training; exits with code 2 when they don't fit together."""
    options = parser.parse_args(argv)
    if (options.mode == "rand") == (options.vectors is not None):
        parser.error("mode rand takes no --vectors" if options.vectors else f"mode {options.mode} needs --vectors")
    if options.mode == "static" and options.export_vectors:
        parser.error("mode static trains no vectors: upload the file given as --vectors")
    if options.mode != "static" and not options.export_vectors:
        parser.error(f"mode {options.mode} trains vectors: name a file for them with --export-vectors")
    return options
