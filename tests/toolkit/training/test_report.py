"""Reports: figures of a small case by hand, as text, as JSON and in the page; the page runs nothing of its texts."""

import argparse
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.cli import CommandError
from toolkit.training.labelled import Row
from toolkit.training.page import FIGURES, PAGE, as_html, report_folder, write_report
from toolkit.training.report import (
    LONGEST_TEXT,
    WORST,
    ClassReport,
    RankingReport,
    as_json,
    class_report,
    columns,
    ranking_report,
    verdict,
)

SCRIPT = "<script>document.title = 'ran'</script><img src=x onerror=alert(1)>"
NAMES = ["spam", f"ham & {SCRIPT}"]
TEXTS = ["buy now", f"hello {SCRIPT}", "a\n" * 400, "see you", "win a prize"]
LABELS = [0, 1, 1, 1, 0]
SPAM = [0.9, 0.8, 0.6, 0.1, 0.3]  # the probability of class 0: two mistakes of class 1, one of class 0


def small(baselines: dict[str, np.ndarray] | None = None, unknown: float | None = 0.25) -> ClassReport:
    probabilities = np.array([[each, 1 - each] for each in SPAM])
    rows = [
        Row(text, NAMES[label], f"mails.csv, line {number}")
        for number, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True), 2)
    ]
    return class_report(NAMES, rows, probabilities, unknown, baselines or {})


def ranked() -> RankingReport:
    answers = [
        [Row("no", "0", "b, line 1"), Row(f"yes {SCRIPT}", "1", "b, line 2")],
        [Row("right", "1", "b, line 3")],
        [Row("x", "0", "b")],
    ]
    scores = [np.array([math.log(3), -math.log(3)]), np.array([1.0]), np.array([0.0])]  # 0.75 and 0.25
    return ranking_report(["who ?", "what ?", "when ?"], answers, scores, None, {"coin": [np.zeros(2), *scores[1:]]})


class Page(HTMLParser):
    """The tags of a page with their attributes, and the text that a reader sees."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_a_class_report_by_hand() -> None:
    report = small({"all spam": np.zeros(5, int)})
    assert report.scores == {"accuracy": 0.4, "macro-F1": pytest.approx(0.4)}
    assert report.confusion == [[1, 1], [2, 1]]
    assert [mistake.probability for mistake in report.worst] == pytest.approx([0.8, 0.7, 0.6])
    first = report.worst[0]
    assert (first.place, first.predicted, first.label) == ("mails.csv, line 3", "spam", NAMES[1])
    assert report.baselines[0].scores == {"accuracy": 0.4, "macro-F1": pytest.approx(2 / 7)}
    assert report.baselines[0].difference.mean == 0
    assert report.calibration.probability == pytest.approx((0.9 + 0.8 + 0.6 + 0.9 + 0.7) / 5)


def test_a_ranking_report_by_hand() -> None:
    report = ranked()
    assert report.scores == {
        "mean average precision": 0.75,
        "mean reciprocal rank": 0.75,
        "precision at 1": 0.5,
    }
    assert (report.rows, report.pairs, report.unanswered) == (3, 4, 1)
    (worst,) = report.worst  # the one whose first answer is wrong
    assert (worst.text, worst.average_precision, worst.answers) == ("who ?", 0.5, 2)
    assert (worst.first.place, worst.first.rank, worst.first.probability) == ("b, line 1", 1, pytest.approx(0.75))
    assert (worst.relevant.place, worst.relevant.rank) == ("b, line 2", 2)
    assert report.baselines[0].scores == report.scores  # equal scores are counted against it


def test_a_ranking_whose_scores_are_equal_is_shown_as_it_is_counted() -> None:
    answers = [[Row("yes", "1", "line 1"), Row("no", "0", "line 2")]]
    (worst,) = ranking_report(["?"], answers, [np.array([1e-7, 0.0])], None, {}).worst
    assert (worst.average_precision, worst.first.text, worst.relevant.rank) == (0.5, "no", 2)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [(0, "The model beats simple"), (100, "simple beats the model"), (50, "not clearly better or worse than simple")],
)
def test_the_verdict_compares_with_the_best_baseline(theirs: int, expected: str) -> None:
    probabilities = np.array([[0.9, 0.1]] * 50 + [[0.1, 0.9]] * 50)
    simple = np.array([0] * theirs + [1] * (100 - theirs))
    rows = [Row("text", "a", "place")] * 100
    report = class_report(["a", "b"], rows, probabilities, None, {"worse": np.ones(100), "simple": simple})
    if theirs:
        assert expected in verdict(report)
    else:
        assert "The model beats" in verdict(report)


def test_without_baselines_there_is_no_verdict() -> None:
    assert verdict(small()) == ""
    assert "--trained-on" in Page(as_html(small(), "m", "d")).text


def test_the_text_names_every_figure_and_obeys_no_label() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    names = ["\x1b[31mred\n\tline", "a name that is much too long for a terminal"]
    report = class_report(
        names, [Row("a", names[0], "1"), Row("b", names[0], "2")], probabilities, 0.125, {"guess": np.ones(2)}
    )
    text = report.as_text()
    assert "\x1b" not in text
    lines = [line.split() for line in text.splitlines()]
    assert ["[31mred", "line", "2", "1.000", "0.500", "0.667"] in lines
    assert ["1", "[31mred", "line", "1", "1"] in lines
    assert ["this", "model", "0.500", "0.333"] in lines
    assert ["guess", "0.000", "0.000"] in lines
    assert "expected calibration error 0.450" in text
    assert "12.5% of the tokens have no vector" in text
    assert max(map(len, text.splitlines()[:3])) < 80


def test_of_many_classes_the_text_names_those_most_often_confused() -> None:
    names = [f"class {number}" for number in range(40)]
    labels = [*range(40), 3, 3]
    probabilities = np.eye(40)[[*range(40), 7, 7]]
    report = class_report(names, [Row("t", names[label], "p") for label in labels], probabilities, None, {})
    assert columns([("class", "predicted", "rows"), ("class 3", "class 7", "2")]) == report.confusion_as_text()


def test_the_page_shows_the_figures_of_the_json() -> None:
    report = small({"all spam": np.zeros(5, int)})
    figures = json.loads(as_json(report))
    text = Page(as_html(report, "mails.model", "mails.csv")).text
    assert "mails.model" in text
    for value in figures["scores"].values():
        assert f"{value:.3f}" in text
    for each in figures["classes"]:
        shown = f"{each['rows']} {each['precision']:.3f} {each['recall']:.3f} {each['f1']:.3f}"
        assert shown in text
    for each in figures["baselines"]:
        assert f"{each['name']} {each['scores']['accuracy']:.3f} {each['scores']['macro-F1']:.3f}" in text
    for mistake in figures["worst"]:
        assert mistake["place"] in text
        assert f"({mistake['probability']:.1%})" in text
    assert "25.0% of the tokens have no vector" in text
    assert f"expected calibration error {figures['calibration']['expected_error']:.3f}" in text


def test_the_page_of_a_ranking_shows_its_figures_and_the_worst_questions() -> None:
    text = Page(as_html(ranked(), "m", "d")).text
    for shown in ("0.750 ", "3 questions, 4 answers", "who ?", "1. no", "not relevant, probability 75.0%; b, line 1"):
        assert shown in text
    assert "Classes" not in text


@pytest.mark.parametrize("report", [small({SCRIPT: np.zeros(5, int)}), ranked()], ids=["classes", "ranking"])
def test_texts_labels_and_names_are_shown_and_never_run_nor_fetched(report: ClassReport | RankingReport) -> None:
    html = as_html(report, f"m{SCRIPT}", f"d{SCRIPT}")
    page = Page(html)
    assert page.text.count(SCRIPT) >= 3
    tags = {tag for tag, _ in page.tags}
    assert not {"script", "img", "link", "iframe", "object"} & tags
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("src", "srcset") for name in attributes), tag
        assert (attributes.get("href") or attributes.get("xlink:href") or "#").startswith("#")
    assert not re.search(r"url\((?!#)|@import", html)
    policy = {"http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"}
    assert ("meta", policy) in page.tags


def test_a_page_has_no_identifier_twice() -> None:
    for report in (small(), ranked()):
        ids = [attributes["id"] for _, attributes in Page(as_html(report, "m", "d")).tags if "id" in attributes]
        assert len(ids) == len(set(ids))


@settings(deadline=None, max_examples=25)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.integers(2, 30))
def test_any_label_makes_a_report_as_text_and_json(label: str, count: int) -> None:
    names = [f"{label}{number}" for number in range(count)]
    rows = [Row(label, name, "place") for name in names]
    report = class_report(names, rows, np.full((count, count), 1 / count), None, {})
    assert report.as_text()
    assert json.loads(as_json(report))["classes"][0]["label"] == names[0]


def test_long_texts_are_cut_and_few_rows_shown() -> None:
    rows = [Row("word " * 1000, "a", "place")] * 50
    report = class_report(["a", "b"], rows, np.array([[0.1, 0.9]] * 50), None, {})
    assert len(report.worst) == WORST
    assert all(len(mistake.text) <= LONGEST_TEXT for mistake in report.worst)


def test_labels_that_look_like_formulas_and_other_scripts_are_drawn_as_they_are() -> None:
    names = ["$x_1$", "中文", "\\frac{"]
    report = class_report(names, [Row("t", name, "p") for name in names], np.eye(3), None, {})
    html = as_html(report, "m", "d")
    for name in names:
        assert f">{name}</text>" in html


def test_a_report_is_the_same_bytes_each_time_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write_report(folder, ranked(), "m", "d")
    write_report(folder, small(), "m", "d")
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_report(folder, small(), "m", "d")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert set(first) == {PAGE, FIGURES}


@pytest.mark.parametrize("name", [PAGE, FIGURES])
def test_files_that_no_report_wrote_are_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(argparse.ArgumentTypeError, match="name another folder"):
        report_folder(str(tmp_path))
    with pytest.raises(CommandError, match="name another folder"):
        write_report(tmp_path, small(), "m", "d")
    assert (tmp_path / name).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_can_not_be_made_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert report_folder(str(tmp_path / "new")) == tmp_path / "new"
    for name in ("file", "nowhere/new"):
        with pytest.raises(argparse.ArgumentTypeError):
            report_folder(str(tmp_path / name))
