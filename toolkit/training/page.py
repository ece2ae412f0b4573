"""A report as files in a folder: `report.html`, one page that needs nothing else, and `report.json`."""

import argparse
from pathlib import Path

import jinja2

from toolkit.atomic_write import atomic_write
from toolkit.cli import CommandError, log
from toolkit.training import plots
from toolkit.training.report import ClassReport, RankingReport, as_json, trust, verdict

PAGE, FIGURES = "report.html", "report.json"
MARK = '<meta name="generator" content="serverless-inference report">'
HERE = Path(__file__).resolve().parent
FOLDERS = (HERE, HERE.parents[1] / "demo")  # whose colours it takes
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDERS), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def report_folder(name: str) -> Path:
    """Return the path of a folder for a report, for argparse.

    It may be there, with an earlier report, which is replaced; files of these names that no report wrote are refused.
    """
    folder = Path(name)
    if folder.exists() and not folder.is_dir():
        raise argparse.ArgumentTypeError(f"{folder} is a file; name a folder for {PAGE} and {FIGURES}")
    if not folder.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {folder.parent}")
    try:
        _check(folder)
    except CommandError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return folder


def write_report(folder: Path, report: ClassReport | RankingReport, model: str, data: str) -> None:
    """Write a report to a folder, which is made if it is not there; `model` and `data` name what was measured.

    Raises CommandError for a folder with files of these names that no report wrote.
    """
    folder.mkdir(exist_ok=True)
    _check(folder)
    for name, text in ((FIGURES, as_json(report)), (PAGE, as_html(report, model, data))):
        with atomic_write(folder / name) as file:
            file.write(text.encode())
    log(f"{folder / PAGE}: the report")


def as_html(report: ClassReport | RankingReport, model: str, data: str) -> str:
    """Return the page of a report."""
    if isinstance(report, ClassReport):
        matrix = plots.confusion([each.label for each in report.classes], report.confusion)
        large, share = len(report.classes) > plots.MOST_NUMBERED, "share right"
    else:
        matrix, large, share = "", False, "share relevant"
    return TEMPLATES.get_template("page.html").render(
        report=report,
        model=model,
        data=data,
        mark=MARK,
        verdict=verdict(report),
        trust=trust(report),
        confusion=matrix,
        large=large,
        reliability=plots.reliability(report.calibration.bins, share),
        few=plots.FEW,
    )


def _check(folder: Path) -> None:
    """Raise CommandError for files in a folder that a report would replace, and that none wrote."""
    page = folder / PAGE
    ours = page.exists() and MARK.encode() in page.read_bytes()[:1000]
    found = [path for path in (page, folder / FIGURES) if path.exists()]
    if found and not ours:
        raise CommandError(f"{found[0]} was not written by a report: name another folder")
