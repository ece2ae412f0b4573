"""The page of a report in the browser of the demo page: readable on a phone, in both colour schemes, and quiet."""

from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from toolkit.training.labelled import Row
from toolkit.training.page import PAGE, write_report
from toolkit.training.report import class_report

SCRIPT = "<script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\">"


def phone(scheme: str) -> dict[str, object]:
    return {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}


@pytest.mark.parametrize(("page", "classes"), [(phone("light"), 2), (phone("dark"), 20)], indirect=["page"])
def test_a_report_fits_a_phone_passes_axe_and_runs_and_fetches_nothing(
    page: Page, classes: int, tmp_path: Path
) -> None:
    names = [f"a class with quite a long name {SCRIPT} {number}" for number in range(classes)]
    rows = [Row(f"{SCRIPT} {'unbreakable' * 30}", name, "a/long/path/of/mails.csv, line 2") for name in names]
    probabilities = np.full((classes, classes), 1 / classes)
    report = class_report(names, rows, probabilities, 0.1, {SCRIPT: np.zeros(classes, int)})
    write_report(tmp_path, report, f"{SCRIPT}.model", "m" * 100)
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto((tmp_path / PAGE).as_uri())
    assert fetched == [(tmp_path / PAGE).as_uri()]
    assert page.title() == f"{SCRIPT}.model on {'m' * 100}"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert Axe().run(page).response["violations"] == []
