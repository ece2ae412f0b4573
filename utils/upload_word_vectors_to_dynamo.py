"""Upload word vectors to the DynamoDB table that the handlers read.

Example:
  python utils/upload_word_vectors_to_dynamo.py glove.6B.50d.txt.gz word-vectors --create-table
  python utils/upload_word_vectors_to_dynamo.py GoogleNews.bin.gz word-vectors --wordlist words.txt --dry-run
  python utils/upload_word_vectors_to_dynamo.py glove.840B.300d.txt word-vectors --via-s3 my-bucket

VECTORS is word2vec text or binary, or GloVe text, compressed (gzip, bzip2, xz) or not. Run again after an
interruption, the same command resumes. Region, credentials and endpoint come from the environment, as for every
AWS tool.
"""

if __name__ == "__main__":  # before the imports, which may take seconds
    from toolkit import ctrl_c

    ctrl_c.end_at_once()

import argparse
from collections.abc import Sequence
from pathlib import Path

from inference.item_format import FORMATS, KEY_BYTES
from toolkit import cli
from toolkit.cli import CommandError
from toolkit.vectors import bulk_import, prices, upload
from toolkit.vectors.file import VectorFile
from toolkit.vectors.guards import READ_UNITS, Guards
from toolkit.vectors.progress import Progress
from toolkit.vectors.selection import Selection
from toolkit.vectors.table import control_client, data_client, open_table


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("vectors", type=Path, metavar="VECTORS", help="file of word vectors")
    parser.add_argument("table", metavar="TABLE", help="name of the DynamoDB table")
    parser.add_argument("--wordlist", "--word_list", type=Path, metavar="FILE", help="only these words, one a line")
    parser.add_argument(
        "--missing", type=cli.output_file, metavar="FILE", help="write the words of --wordlist that have no vector"
    )
    parser.add_argument("--create-table", action="store_true", help="create the table, on demand, if there is none")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="float32",
        help="of a vector in the table; default: float32; list: the format of the published tables",
    )
    parser.add_argument("--skip-bad-lines", action="store_true", help="skip and count them; default: stop at one")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--dry-run", action="store_true", help="write nothing; print what it would take and cost")
    ways.add_argument("--via-s3", metavar="BUCKET", help="let DynamoDB import a new table from this bucket")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="when all is written, read it back and compare; a finished upload is not written again",
    )
    made = parser.add_argument_group("of a table that is made", "one that exists must be so already")
    made.add_argument(
        "--max-read-units",
        type=_units,
        metavar="N",
        help=f"it takes no more reads a second than that, so that their cost is bounded; default: {READ_UNITS}; 0: any",
    )
    made.add_argument(
        "--deletion-protection",
        action=argparse.BooleanOptionalAction,
        help="refuse to delete it until the protection is turned off; on by default",
    )
    made.add_argument(
        "--point-in-time-recovery", action="store_true", help="let it be restored as it was, for a charge per GB"
    )
    made.add_argument("--kms-key", type=_key, metavar="KEY", help="ID or ARN of your key to encrypt it with")
    cli.add_pairs(made, "--tag", "may be repeated")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _units(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of read units, 0 or more")
    return int(text)


def _key(text: str) -> str:
    if "alias/" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is an alias, which may name another key later; give the key's ARN")
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    usage = parser()
    arguments = usage.parse_args(argv)
    if arguments.missing and not arguments.wordlist:
        usage.error("--missing goes with --wordlist")
    table, quiet = arguments.table, arguments.quiet

    wanted = cli.read_wordlist(arguments.wordlist) if arguments.wordlist else None
    file = VectorFile(arguments.vectors)
    if prices.largest_item(KEY_BYTES, file.dim, arguments.format) > prices.MAX_ITEM_BYTES:
        raise CommandError(f"{file.path}: {file.dim}-dimensional vectors do not fit into a DynamoDB item of 400 KB")
    selection = Selection(file, arguments.format, wanted, arguments.skip_bad_lines)
    selection.survey(quiet)

    if arguments.dry_run:
        print(upload.estimate(selection, quiet))
        report(selection, arguments)
        return 0

    guards = Guards(
        arguments.max_read_units,
        arguments.deletion_protection,
        arguments.point_in_time_recovery,
        arguments.kms_key,
        dict(arguments.tag),
    )
    if arguments.via_s3:
        sources = bulk_import.own_sources()
        client, bucket = control_client(), arguments.via_s3
        written = bulk_import.import_words(client, sources, table, selection, bucket, guards, quiet)
        print(f"{written:,} words imported into {table}")
    else:
        table_id = open_table(control_client(), table, arguments.create_table, guards)
        progress = Progress(table_id, arguments.format, wanted, arguments.skip_bad_lines)
        written = upload.write(data_client(), table, selection, progress, arguments.verify, quiet)
        if written or not arguments.verify:
            print(f"{written:,} words written to {table}")
    report(selection, arguments)

    if arguments.verify:
        same = upload.verify(data_client(), table, selection, quiet)
        print(f"{same:,} words in table {table} are as in {file.path}")
    return 0


def report(selection: Selection, arguments: argparse.Namespace) -> None:
    """Print what was left out, and write the missing words to the file of --missing."""
    if selection.duplicates:
        print(f"{selection.duplicates:,} duplicates left out, the first of each word was taken")
    if selection.bad_lines:
        print(f"{selection.bad_lines:,} bad lines skipped")
    if selection.wanted is not None:
        missing, wanted = len(selection.missing), len(selection.wanted)
        print(f"{missing:,} of {wanted:,} words of {arguments.wordlist} have no vector in {arguments.vectors}")
    if arguments.missing:
        with cli.open_output(arguments.missing) as output:
            output.writelines(f"{word.decode()}\n" for word in selection.missing)


if __name__ == "__main__":
    cli.run(main)
