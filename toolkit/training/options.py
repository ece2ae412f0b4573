"""The command lines of train.py and evaluate.py, the same for both models."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from toolkit import cli
from toolkit.cli import output_file, positive
from toolkit.training.page import report_folder

REPORT = "write report.html and report.json there; an earlier report is replaced"
MODES = ("rand", "static", "non-static", "multichannel")


def add_columns(parser: argparse._ActionsContainer) -> None:
    """Add the options that name the columns of labelled text."""
    parser.add_argument(
        "--text-column", action="append", metavar="NAME", help="may be given again: the texts join (default: text)"
    )
    parser.add_argument("--label-column", default="label", metavar="NAME", help="(default: label)")


def add_pair_columns(parser: argparse._ActionsContainer) -> None:
    """Add the options that name the columns of questions with answers."""
    for name in ("question", "answer", "label"):
        parser.add_argument(f"--{name}-column", default=name, metavar="NAME", help=f"(default: {name})")


def pair_columns(options: argparse.Namespace) -> tuple[str, str, str]:
    """Return the columns of question, answer and label that `options` name."""
    return options.question_column, options.answer_column, options.label_column


def evaluation_parser(description: str | None, data: str) -> argparse.ArgumentParser:
    """Return the parser of an evaluation. `data`: what --data is."""
    parser = cli.parser(description)
    parser.add_argument("--model", type=Path, metavar="FILE", help="the model file to measure, with its --vectors")
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=data)
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="word vectors that it was trained with")
    parser.add_argument("--endpoint", metavar="URL", help="measure the deployed function instead")
    parser.add_argument("--report", type=report_folder, metavar="DIR", help=REPORT)
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def evaluation_options(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of an evaluation; exits with code 2 when they don't fit together."""
    options = parser.parse_args(argv)
    if bool(options.endpoint) == bool(options.model) or bool(options.model) != bool(options.vectors):
        parser.error("give either --model and --vectors, or --endpoint")
    return options


def training_parser(
    description: str | None, datasets: Iterable[str], output: str, own_mode: str = "static"
) -> argparse.ArgumentParser:
    """Return the parser of a training; the first of `datasets` is the default, as is the file `output`.

    `own_mode` is the default mode for data of one's own, a file.
    """
    datasets = list(datasets)
    modes = "static" if own_mode == "static" else f"static, of a FILE of --data {own_mode}"
    parser = cli.parser(description)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="PATH", help="a file of one's own, or a data set's folder"
    )
    parser.add_argument("--dataset", choices=datasets, default=datasets[0], help=f"which (default: {datasets[0]})")
    parser.add_argument(
        "--vectors", type=Path, nargs="+", default=[], metavar="FILE", help="word vectors; several go side by side"
    )
    parser.add_argument("--mode", choices=MODES, help=f"which vectors are trained (default: {modes})")
    parser.add_argument("--dim", type=positive, default=50, help="dimensions of mode rand's vectors (default: 50)")
    parser.add_argument("--epochs", type=positive, help="at most how many, instead of the recipe's")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same model (default: 1)")
    parser.add_argument("--output", type=output_file, default=output, metavar="FILE", help=f"(default: {output})")
    parser.add_argument(
        "--export-vectors",
        type=output_file,
        metavar="FILE",
        help="what the model wants served, word2vec text (default: beside the model, MODEL.vectors.txt)",
    )
    parser.add_argument("--report", type=report_folder, metavar="DIR", help=REPORT)
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(own_mode=own_mode)
    return parser


def training_options(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of a training; exits with code 2 when they don't fit together.

    `export_vectors` is None where the model wants the vectors as they are in the one file given.
    """
    options = parser.parse_args(argv)
    options.mode = options.mode or ("static" if options.data.is_dir() else options.own_mode)
    if (options.mode == "rand") == bool(options.vectors):
        parser.error("mode rand takes no --vectors" if options.vectors else f"mode {options.mode} needs --vectors")
    if options.mode == "static" and len(options.vectors) == 1:
        if options.export_vectors:
            parser.error("mode static trains no vectors: upload the file given as --vectors")
    elif not options.export_vectors:
        options.export_vectors = options.output.with_suffix(".vectors.txt")
    if options.export_vectors and options.export_vectors.resolve() in map(Path.resolve, options.vectors):
        parser.error(f"{options.export_vectors} would be overwritten: name another file with --export-vectors")
    return options
