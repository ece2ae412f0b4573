"""The demo page, opened from disk, with a fake API that answers as each test says."""

import csv
import json
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from inference.tokenizer import tokenize
from tests.conftest import ROOT
from tests.demo.conftest import finish_moves, seen
from tests.fakes.dynamodb import FakeDynamoDB
from tests.serving import KIM, SM, service

API = "http://api.test/stage"
PAGE = (ROOT / "demo/index.html").as_uri()
TIMES = {"t_overall": 0.02, "t_sent_embedding": 0.012, "t_load_model": 0.0, "t_inference": 0.003}
SHARES = {"very negative": 0.028, "negative": 0.076, "neutral": 0.126, "positive": 0.563, "very positive": 0.207}
ABOUT = {predict.ARCHITECTURE: service(predict, FakeDynamoDB(lambda word: None)).about() for predict in (KIM, SM)}
Answer = Callable[[Any], Any]


def sentiment(fields: Any, **other: Any) -> dict[str, Any]:
    return {**fields, "label": "positive", "probabilities": SHARES, "unknown_words": [], **TIMES, **other}


def explained(fields: Any, **other: Any) -> dict[str, Any]:
    """The same with the words, and no influence of any if `other` does not have it."""
    words = tokenize(fields["input"])
    return sentiment(fields, **{"words": words, "influence": [0.0] * len(words), **other})


def explained_pairs(fields: Any, **other: Any) -> dict[str, Any]:
    """The words of a question each raise the probability, those of the candidates do nothing."""
    question, candidates = tokenize(fields["sent1"]), [tokenize(text) for text in fields["sent2"]]
    words = {"sent1": question, "sent2": candidates}
    influence = {
        "sent1": [[0.1 if len(other) == 0 else 0.0] * len(question) for _ in candidates],
        "sent2": [[0.0] * len(candidate) for candidate in candidates],
    }
    return relevance(fields, words=words, influence=influence, **other)


def relevance(fields: Any, **other: Any) -> dict[str, Any]:
    """Longer candidates are better ones."""
    lengths = [len(text) for text in fields["sent2"]]
    return {
        **fields,
        "score": [[0.0, 0.0] for _ in lengths],
        "probability": [length / (1 + max(lengths)) for length in lengths],
        "ranking": sorted(range(len(lengths)), key=lambda index: -lengths[index]),
        "unknown_words": [],
        **TIMES,
        **other,
    }


def reply(route: Route, status: int = 200, body: Any = "", **headers: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    route.fulfill(status=status, body=text, headers={"Access-Control-Allow-Origin": "*", **headers})


def serve(page: Page, kim: Answer = sentiment, sm: Answer = relevance, samples: bool = False) -> list[tuple[str, Any]]:
    """Let the API answer with these; return the list that its requests go to, as (path, fields).

    `explain` is left out of the fields: the page asks for it whenever it shows an answer.
    """
    requests: list[tuple[str, Any]] = []

    def handle(route: Route) -> None:
        model = route.request.url.removeprefix(f"{API}/")
        fields: dict[str, Any] = route.request.post_data_json or {}
        fields.pop("explain", None)
        requests.append((model, fields))
        reply(route, 200, {"kim_cnn": kim, "sm_cnn": sm}[model](fields))

    on_post(page, handle, samples)
    return requests


def on_post(page: Page, answer: Callable[[Route], Any], samples: bool = False) -> None:
    """Let the API answer a POST so, and a GET with what the committed models are.

    Without their samples the page has nothing to ask before a test does.
    """

    def handle(route: Route) -> None:
        if route.request.method == "POST":
            answer(route)
        else:
            about = ABOUT[route.request.url.removeprefix(f"{API}/")]
            reply(route, 200, about if samples else {**about, "samples": []})

    page.route(f"{API}/**", handle)


def open_page(page: Page, api: str = API) -> None:
    page.goto(f"{PAGE}?api={api}")


def classify(page: Page, text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Classify").click()


def rank(page: Page, question: str, *candidates: str) -> None:
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_label("Candidate answers").fill("\n".join(candidates))
    page.get_by_role("button", name="Rank").click()


def ranked(page: Page) -> list[str]:
    return page.locator(".ranking .text").all_inner_texts()


# Answers


def test_a_sentence_gets_its_label_and_a_chart_of_probabilities(page: Page) -> None:
    requests = serve(page)
    open_page(page)
    classify(page, "  a fine film ")
    expect(page.locator(".label")).to_have_text("positive")
    expect(page.locator(".chart dt")).to_have_text([*SHARES])
    expect(page.locator(".chart .percent")).to_have_text(["2.8%", "7.6%", "12.6%", "56.3%", "20.7%"])
    widths = [bar.evaluate("bar => bar.style.getPropertyValue('--share')") for bar in page.locator(".chart .bar").all()]
    assert sum(map(float, widths)) == pytest.approx(1)
    expect(page.locator("#kim_cnn .send [role=status]")).to_contain_text("positive, 56.3%")
    assert requests == [("kim_cnn", {"input": "a fine film"})]


def test_any_labels_are_shown(page: Page) -> None:
    shares = {"Weather": 0.0, "Sports": 1.0}
    serve(page, lambda fields: sentiment(fields, label="Sports", probabilities=shares, truncated=True))
    open_page(page)
    classify(page, "the cup final")
    expect(page.locator(".label")).to_have_text("Sports")
    expect(page.locator(".chart dt")).to_have_text(["Weather", "Sports"])
    expect(page.locator(".chart .percent")).to_have_text(["0.0%", "100.0%"])
    expect(page.locator("#kim_cnn .outcome")).to_contain_text("longer than the model reads")


def test_of_many_classes_the_likeliest_come_first_and_the_others_are_folded(page: Page) -> None:
    shares = {f"team {number}": number / 66 for number in range(12)}
    serve(page, lambda fields: sentiment(fields, label="team 11", probabilities=shares))
    open_page(page)
    classify(page, "it does not start")
    likeliest = [f"team {number}" for number in range(11, -1, -1)]
    shown = page.locator("#kim_cnn .chart dt:visible")
    expect(shown).to_have_text(likeliest[:10])
    page.get_by_text("2 more classes").click()
    expect(shown).to_have_text(likeliest)


def test_the_page_shows_what_the_deployed_model_says_it_is(page: Page) -> None:
    long = "a long ticket " * 20
    about = {"model": "kim_cnn", "title": MARKUP, "description": "Tickets to teams.", "samples": [{"input": long}]}
    page.route(f"{API}/**", lambda route: reply(route, 404, {"message": "Not Found"}))
    page.route(f"{API}/kim_cnn", lambda route: reply(route, 200, about))
    open_page(page)
    expect(page.locator("#kim_cnn h2")).to_have_text(MARKUP)
    expect(page.locator("#kim_cnn .what")).to_have_text("Tickets to teams.")
    expect(page.locator("#kim_cnn .samples button")).to_have_text([f"{long[:120]}…"])
    expect(page.get_by_label("Text", exact=True)).to_have_value(long)
    expect(page.locator("#sm_cnn")).to_be_hidden()


def test_candidates_move_to_their_rank(held_moves: Page) -> None:
    page = held_moves
    requests = serve(page)
    open_page(page)
    rank(page, "what?", "short", "", "  the longest of them ", "in between")
    expect(page.locator(".ranking li")).to_have_count(3)
    assert seen(page) == ["short", "the longest of them", "in between"]
    finish_moves(page)
    assert seen(page) == ranked(page) == ["the longest of them", "in between", "short"]
    expect(page.locator(".ranking .percent")).to_have_text(["95.0%", "50.0%", "25.0%"])
    expect(page.locator("#sm_cnn .send [role=status]")).to_contain_text("Best of 3: the longest of them, 95.0%")
    assert requests == [("sm_cnn", {"sent1": "what?", "sent2": ["short", "the longest of them", "in between"]})]


def test_candidates_ranked_again_move_from_their_old_places(held_moves: Page) -> None:
    page = held_moves
    serve(page)
    open_page(page)
    rank(page, "what?", "short", "the longest", "in between")
    expect(page.locator(".ranking li")).to_have_count(3)
    page.unroute_all()
    serve(page, sm=lambda fields: relevance(fields, ranking=[0, 2, 1]))
    with page.expect_response(f"{API}/sm_cnn"):
        rank(page, "why?", "short", "the longest", "in between")
    expect(page.locator(".question")).to_have_text("why?")
    assert seen(page) == ["the longest", "in between", "short"]
    finish_moves(page)
    assert seen(page) == ["short", "in between", "the longest"]


@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_moves_when_reduced_motion_is_preferred(page: Page) -> None:
    serve(page)
    open_page(page)
    rank(page, "what?", "short", "the longest of them")
    expect(page.locator(".ranking li")).to_have_count(2)
    assert ranked(page) == ["the longest of them", "short"]
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_time_is_split_and_a_cold_start_is_named(page: Page) -> None:
    times = {"t_overall": 1.52, "t_sent_embedding": 0.01234, "t_load_model": 1.5, "t_inference": 0.0034}
    serve(page, lambda fields: sentiment(fields, **times))
    open_page(page)
    classify(page, "a fine film")
    took = page.locator("#kim_cnn .took")
    expect(took).to_contain_text("cold start, model loaded in 1500 ms")
    found = re.match(r"Took ([\d.]+) ms: lookup 12 ms, model 3.4 ms, network ([\d.]+) ms; ", took.inner_text())
    assert found
    assert float(found[2]) == pytest.approx(max(0, float(found[1]) - 20), abs=1)
    page.unroute_all()
    serve(page)
    classify(page, "a fine film")
    expect(took).to_contain_text("warm")


@pytest.mark.parametrize("page", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True)
def test_the_curl_command_sends_the_same_request(page: Page) -> None:
    requests = serve(page)
    open_page(page)
    classify(page, 'it\'s "fine" & $HOME `ls` é')
    page.get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    command = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert command[:4] == ["curl", "-H", "Content-Type: application/json", "--data"]
    assert json.loads(command[4]) == requests[0][1]
    assert command[5:] == [f"{API}/kim_cnn"]


def test_without_access_to_the_clipboard_the_command_is_selected(page: Page) -> None:
    serve(page)
    open_page(page)
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }")
    classify(page, "a fine film")
    page.get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Selected, now copy it")).to_be_visible()
    assert page.evaluate("String(getSelection())").startswith("curl -H")


# Unknown words

SENTENCES = [
    "A gloriously zorblax film",
    "Zorblax's plot isn't frobnicated, is it?",
    "“Qwfp!” said the well-zorblaxed hero—twice",
    "he'd pay $5,000 (or 10%) at 3:15 p.m. ... said Mr. Zorblax.",
    "the critics' 'favourite' and/or rock & roll r&b--ok",
    'They’re the director’s best: ‘em, \'em and "quotes"',
    "don't; can't; won't. Élan VITAL naïve 日本 über",
]


@pytest.mark.parametrize("text", SENTENCES)
def test_unknown_words_are_marked_where_the_tokenizer_finds_them(page: Page, text: str) -> None:
    """With every word unknown, what is marked is what the tokenizer makes of the text, however it was typed."""
    serve(page, lambda fields: explained(fields, unknown_words=sorted(set(tokenize(fields["input"])))))
    open_page(page)
    classify(page, text)
    marks = page.locator("#kim_cnn .text mark")
    expect(marks.first).to_be_visible()
    spelled = {"“": "``", "”": "''", '"': "''", "‘": "'", "’": "'", "…": "..."}
    found = [mark.lower() for mark in marks.all_inner_texts()]
    found = ["".join(spelled.get(character, character) for character in mark) for mark in found]
    quotes = {"``", "''", "'", '"'}
    assert [word for word in found if word not in quotes] == [word for word in tokenize(text) if word not in quotes]
    assert page.locator("#kim_cnn .text").inner_text() == text


def test_a_part_of_a_known_word_is_not_marked(page: Page) -> None:
    serve(page, lambda fields: explained(fields, unknown_words=["art", "zorb", "n't"]))
    open_page(page)
    classify(page, "An Art-house party: ZORB's artful zorb-like start, isn't it, zorb?")
    expect(page.locator("#kim_cnn .text mark")).to_have_text(["ZORB", "n't", "zorb"])
    expect(page.locator(".unknown")).to_contain_text("art, zorb, n't")


def test_unknown_words_are_marked_in_question_and_candidates(page: Page) -> None:
    serve(page, sm=lambda fields: explained_pairs(fields, unknown_words=["zorblax"]))
    open_page(page)
    rank(page, "who is Zorblax?", "zorblax is", "nobody")
    expect(page.locator("#sm_cnn .text mark")).to_have_text(["Zorblax", "zorblax"])


def test_without_words_in_the_answer_unknown_words_are_named(page: Page) -> None:
    serve(page, lambda fields: sentiment(fields, unknown_words=["zorb"]))
    open_page(page)
    classify(page, "a zorb film")
    expect(page.locator(".unknown")).to_contain_text("zorb")
    expect(page.locator("#kim_cnn .text")).to_have_text("a zorb film")


# Words and their influence


def test_words_are_shaded_by_their_influence_and_a_table_says_the_same(page: Page) -> None:
    influence = [0.0, 0.4, -0.2, 0.01]
    serve(page, lambda fields: explained(fields, influence=influence))
    open_page(page)
    classify(page, "A Fine, dull")
    expect(page.locator("#kim_cnn .text .for")).to_have_text(["Fine"])
    expect(page.locator("#kim_cnn .text .against")).to_have_text([","])
    depths = [mark.evaluate("each => each.style.getPropertyValue('--depth')") for mark in
              page.locator("#kim_cnn .text mark").all()]  # fmt: skip
    assert depths == ["1.000", "0.500"]
    expect(page.locator("#kim_cnn .key")).to_contain_text("speaks for “positive”")
    page.get_by_text("Points of probability, word by word").first.click()
    rows = page.locator("#kim_cnn tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [["a", "0.0"], ["fine", "+40.0"], [",", "−20.0"], ["dull", "+1.0"]]


def test_placeholders_and_marks_of_case_find_their_place(page: Page) -> None:
    words = ["<cap>", "see", "<url>", ",", "<number>", "or", "<user>", "(", "ok"]
    serve(page, lambda fields: explained(fields, words=words, influence=[0.1] * len(words)))
    open_page(page)
    classify(page, "See https://a.b/see?ok, 123456 or @me (ok")
    marks = ["See", "https://a.b/see?ok", ",", "123456", "or", "@me", "(", "ok"]
    expect(page.locator("#kim_cnn .text mark")).to_have_text(marks)


def test_the_question_is_shaded_for_the_best_candidate(page: Page) -> None:
    serve(page, sm=lambda fields: explained_pairs(fields))
    open_page(page)
    rank(page, "who came?", "nobody", "the longest")
    expect(page.locator("#sm_cnn .question .for")).to_have_text(["who", "came", "?"])
    expect(page.locator("#sm_cnn caption")).to_have_text(["The question, with the best answer", "Answer 1", "Answer 2"])


def test_a_text_too_long_to_explain_is_answered_without(page: Page) -> None:
    asked: list[Any] = []

    def answer(route: Route) -> None:
        fields = route.request.post_data_json or {}
        asked.append(fields)
        if fields.get("explain"):
            reply(route, 400, {"error": "600 words to explain"})
        else:
            reply(route, 200, sentiment(fields))

    on_post(page, answer)
    open_page(page)
    classify(page, "a fine film " * 200)
    expect(page.locator(".label")).to_have_text("positive")
    assert [fields.get("explain") for fields in asked] == [True, None]
    expect(page.locator("#kim_cnn .long summary")).to_contain_text("a fine film")
    expect(page.locator("#kim_cnn .text")).to_be_hidden()


# Classes that have an order


@pytest.mark.parametrize(
    ("names", "ordered"),
    [(["very negative", "neutral", "positive"], True), (["1 star", "2 stars", "5 stars"], True), (["b", "a"], False)],
)
def test_classes_of_a_scale_have_colours_in_its_order(page: Page, names: list[str], ordered: bool) -> None:
    shares = dict.fromkeys(names, 1 / len(names))
    serve(page, lambda fields: sentiment(fields, label=names[0], probabilities=shares))
    open_page(page)
    classify(page, "a fine film")
    expect(page.locator(".chart dt")).to_have_text(names)
    images = [bar.evaluate("bar => getComputedStyle(bar).backgroundImage") for bar in page.locator(".chart .bar").all()]
    assert len(set(images)) == (3 if ordered else 2)


# What the page asks by itself


def test_the_first_sample_is_answered_on_load(page: Page) -> None:
    requests = serve(page, samples=True)
    open_page(page)
    expect(page.locator(".label")).to_be_visible()
    expect(page.locator(".ranking li")).to_have_count(4)
    firsts = {name: about["samples"][0] for name, about in ABOUT.items()}
    assert dict(requests) == firsts
    expect(page.locator("#kim_cnn .send [role=status]")).to_have_text("")


@pytest.mark.parametrize("page", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True)
def test_a_link_holds_the_input_and_sends_it_to_no_server(page: Page) -> None:
    serve(page)
    open_page(page)
    rank(page, "who & what = #1?", "this", "thät")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    other = page.context.new_page()
    asked: list[str] = []
    other.on("request", lambda request: asked.append(request.url))
    requests = serve(other, samples=True)
    other.goto(link)
    expect(other.locator(".ranking li")).to_have_count(2)
    expect(other.locator(".label")).to_be_visible()
    assert ("sm_cnn", {"sent1": "who & what = #1?", "sent2": ["this", "thät"]}) in requests
    assert len(requests) == 2  # the other model's first sample
    assert not any("what" in url.partition("#")[0] for url in asked)


# A file of many texts


def answer_file(page: Page, model: str, name: str, content: str) -> list[list[str]]:
    """Give a file to a model's section, have it answered and downloaded; return its rows."""
    section = page.locator(f"#{model}")
    section.get_by_text("Answer a file of").click()
    section.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "text/csv", "buffer": content.encode()}
    )
    section.get_by_role("button", name="Answer all rows").click()
    with page.expect_download() as download:
        section.get_by_role("link", name="Download").click()
    return list(csv.reader(download.value.path().read_text(encoding="utf-8-sig").splitlines()))


def test_a_csv_comes_back_with_answers_in_lists_of_bounded_size(page: Page) -> None:
    def kim(fields: Any) -> dict[str, Any]:
        many = len(fields["input"])
        return sentiment(fields, label=["positive"] * many, probabilities=[SHARES] * many)

    requests = serve(page, kim)
    open_page(page)
    lines = ["id;Text", *(f'{number};"a ""fine"" film; {number}"' for number in range(100)), "100;"]
    rows = answer_file(page, "kim_cnn", "films.csv", "\r\n".join(lines))
    assert rows[0] == ["id", "Text", "predicted", *(f"probability of {name}" for name in SHARES), "error"]
    assert len(rows) == 102
    assert rows[8][:2] == ["7", 'a "fine" film; 7']
    assert rows[8][rows[0].index("predicted")] == "positive"
    assert rows[101][rows[0].index("error")] == "empty"
    sizes = [len(fields["input"]) for _, fields in requests]
    assert sum(sizes) == 100
    assert max(sizes) <= 32


def test_a_file_of_questions_comes_back_ranked(page: Page) -> None:
    requests = serve(page)
    open_page(page)
    rows = answer_file(page, "sm_cnn", "qa.tsv", "question\tanswer\na?\tone\nb?\tx\na?\tthree\n")
    assert rows[0] == ["question", "answer", "probability", "rank"]
    assert [row[3] for row in rows[1:]] == ["2", "1", "1"]
    assert [fields["sent2"] for _, fields in requests] == [["one", "three"], ["x"]]


def test_a_throttled_file_waits_and_a_text_that_is_refused_is_named(page: Page) -> None:
    calls: list[Any] = []

    def answer(route: Route) -> None:
        texts = (route.request.post_data_json or {})["input"]
        calls.append(texts)
        if len(calls) == 1:
            headers = {"Retry-After": "1", "Access-Control-Expose-Headers": "Retry-After"}
            reply(route, 503, {"error": "busy"}, **headers)
        elif "bad" in texts:
            reply(route, 400, {"error": "no"})
        else:
            fields = {"label": ["positive"] * len(texts), "probabilities": [SHARES] * len(texts)}
            reply(route, 200, sentiment({}, **fields))

    on_post(page, answer)
    open_page(page)
    rows = answer_file(page, "kim_cnn", "texts.txt", "good\nbad\nfine\n")
    assert calls == [["good", "bad", "fine"], ["good", "bad", "fine"], ["good", "bad"], ["good"], ["bad"], ["fine"]]
    assert [row[rows[0].index("predicted")] for row in rows[1:]] == ["positive", "", "positive"]
    assert rows[2][rows[0].index("error")] == "400: no"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"text\n", "no rows"), (b"\x89PNG\xff\x00", "not text in UTF-8"), (b'text\n"open\n', "a quote")],
)
def test_a_file_that_can_not_be_read_is_refused(page: Page, content: bytes, said: str) -> None:
    serve(page)
    open_page(page)
    page.locator("#kim_cnn").get_by_text("Answer a file of").click()
    page.locator("#kim-file").set_input_files({"name": "x.csv", "mimeType": "text/csv", "buffer": content})
    expect(page.locator("#kim_cnn .file [role=status]")).to_contain_text(said)
    expect(page.get_by_role("button", name="Answer all rows")).to_have_count(0)


# Text stays text

MARKUP = '<img src=x onerror="window.pwned = 1"><script>window.pwned = 1</script>'


def test_markup_from_the_user_or_the_api_stays_text(page: Page) -> None:
    serve(
        page,
        lambda fields: sentiment(fields, label=MARKUP, probabilities={MARKUP: 1.0}, unknown_words=[MARKUP, "src"]),
        lambda fields: relevance(fields, unknown_words=[MARKUP]),
    )
    open_page(page)
    classify(page, MARKUP)
    expect(page.locator(".label")).to_have_text(MARKUP)
    expect(page.locator("#kim_cnn .text")).to_have_text(MARKUP)
    expect(page.locator("#kim_cnn pre").first).to_contain_text("<script>window.pwned = 1</script>")
    rank(page, MARKUP, MARKUP, "another")
    expect(page.locator(".ranking .text").first).to_have_text(MARKUP)
    page.unroute_all()
    on_post(page, lambda route: reply(route, 400, {"error": MARKUP}))
    classify(page, MARKUP)
    expect(page.locator("#kim_cnn .problem")).to_contain_text(MARKUP)
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate("window.pwned") is None


def test_the_pages_policy_stops_markup_and_foreign_scripts(page: Page) -> None:
    open_page(page)
    refused = page.evaluate(
        """() => {
            try { document.body.innerHTML = "<b>markup</b>"; return "let in"; } catch (error) { return error.name; }
        }"""
    )
    assert refused == "TypeError"
    policy = page.locator("meta[http-equiv]").get_attribute("content")
    assert policy is not None
    assert "'unsafe-inline'" not in policy
    assert "default-src 'none'; script-src 'self'" in policy


def test_nothing_is_loaded_from_elsewhere_and_unasked_only_what_the_models_are_is_asked(page: Page) -> None:
    asked: list[str] = []
    sent: list[tuple[str, str]] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("request", lambda request: sent.append((request.method, request.url)))
    open_page(page)
    page.wait_for_load_state("networkidle")
    files = {Path(url.partition("?")[0]).name for url in asked if url.startswith("file:")}
    assert files == {"index.html", "colours.css", "style.css", "words.js", "table.js", "script.js"}
    others = sorted(each for each in sent if not each[1].startswith(("file:", "data:")))
    assert others == [("GET", f"{API}/kim_cnn"), ("GET", f"{API}/sm_cnn")]


# What goes wrong

PROBLEMS = [
    (400, {"error": "input[1] is empty; send a sentence"}, ["input[1] is empty", "Change the text"], False),
    (403, {"message": "Forbidden"}, ["does not let", "It may ask for a token"], False),
    (404, {"message": "Not Found"}, [f"nothing answers at {API}/kim_cnn", "Check the API URL", "not deployed"], False),
    (405, {"error": "method PUT is not served; use POST"}, ["use POST", "Check the API URL"], False),
    (413, {"message": "Request Too Long"}, ["too large", "Shorten"], False),
    (429, {"message": "Too Many Requests"}, ["too many requests", "Wait a second"], True),
    (
        500,
        {"error": "the request failed inside the service; its log says why"},
        ["its log says why", "Try again"],
        True,
    ),
    (503, {"error": "the word vectors can't be read right now"}, ["can't be read", "Wait 7 seconds"], True),
    (503, {"message": "Service Unavailable"}, ["busy", "Wait 7 seconds"], True),
    (504, {"message": "Endpoint request timed out"}, ["the service failed", "log"], True),
    (418, "<html>a teapot</html>", ["does not answer this request", "Check the API URL"], False),
]


@pytest.mark.parametrize(("status", "body", "said", "again"), PROBLEMS)
def test_every_error_says_what_to_do(page: Page, status: int, body: Any, said: list[str], again: bool) -> None:
    headers = {"Retry-After": "7", "Access-Control-Expose-Headers": "Retry-After"} if status == 503 else {}
    on_post(page, lambda route: reply(route, status, body, **headers))
    open_page(page)
    classify(page, "a fine film")
    problem = page.get_by_role("alert").locator(".problem")
    expect(problem).to_contain_text(str(status))
    for text in said:
        expect(problem).to_contain_text(text)
    button = problem.get_by_role("button", name="Try again")
    assert button.is_visible() == again
    if again:
        page.unroute_all()
        serve(page)
        button.click()
        expect(page.locator(".label")).to_have_text("positive")
        expect(problem).to_have_count(0)
        expect(page.get_by_role("button", name="Classify")).to_be_focused()


def test_no_network_says_what_to_check(page: Page) -> None:
    on_post(page, lambda route: route.abort("connectionrefused"))
    open_page(page)
    classify(page, "a fine film")
    expect(page.locator(".problem")).to_contain_text("No answer from api.test")
    expect(page.locator(".problem")).to_contain_text("running")
    page.context.set_offline(True)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".problem")).to_contain_text("You are offline")


OTHER_SERVERS = [
    "<html>welcome</html>", "null", "[]", "{}", '{"label": "good"}',
    sentiment({}, probabilities="12345"), sentiment({}, label="other"), sentiment({}, t_overall=None),
]  # fmt: skip


@pytest.mark.parametrize("body", OTHER_SERVERS)
def test_an_answer_of_another_server_is_refused(page: Page, body: Any) -> None:
    on_post(page, lambda route: reply(route, 200, body))
    open_page(page)
    classify(page, "a fine film")
    expect(page.locator(".problem")).to_contain_text("did not come from an API for this page")


@pytest.mark.parametrize("ranking", [[0, 0], [0], [1, 2], [0.5, 1], "01"])
def test_an_invalid_ranking_is_refused(page: Page, ranking: Any) -> None:
    serve(page, sm=lambda fields: relevance(fields, ranking=ranking))
    open_page(page)
    rank(page, "what?", "this", "that")
    expect(page.locator(".problem")).to_contain_text("did not come from an API for this page")


def test_an_empty_field_is_named_and_nothing_is_sent(page: Page) -> None:
    requests = serve(page)
    open_page(page)
    classify(page, " \n ")
    field = page.get_by_label("Text", exact=True)
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description("Type a text first.")
    expect(field).to_have_attribute("aria-invalid", "true")
    rank(page, "what?", " ", "")
    expect(page.get_by_label("Candidate answers")).to_be_focused()
    assert requests == []
    classify(page, "a fine film")
    expect(page.locator(".label")).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "false")


# One answer after another


def hold(page: Page) -> list[Route]:
    """Keep the API's requests waiting; return the list that they go to."""
    held: list[Route] = []
    on_post(page, lambda route: held.append(route))
    return held


def wait_for(page: Page, held: list[Route], count: int) -> None:
    deadline = time.monotonic() + 10
    while len(held) < count and time.monotonic() < deadline:
        page.wait_for_timeout(10)
    assert len(held) == count


def test_the_last_answer_stays_until_the_next_and_below_an_error(page: Page) -> None:
    serve(page)
    open_page(page)
    classify(page, "a fine film")
    expect(page.locator(".label")).to_have_text("positive")
    page.unroute_all()
    held = hold(page)
    classify(page, "a dull film")
    wait_for(page, held, 1)
    expect(page.locator("#kim_cnn .send [role=status]")).to_have_text("Waiting for the answer…")
    expect(page.locator("#kim_cnn .outcome")).to_have_attribute("aria-busy", "true")
    expect(page.locator(".label")).to_have_text("positive")
    expect(page.locator("#kim_cnn .text")).to_have_text("a fine film")
    reply(held[0], 500, {"error": "failed"})
    expect(page.locator("#kim_cnn .problem")).to_be_visible()
    expect(page.locator("#kim_cnn .stale")).to_have_text("The previous answer:")
    expect(page.locator("#kim_cnn .text")).to_be_visible()
    expect(page.locator("#kim_cnn .text")).to_have_text("a fine film")
    expect(page.locator("#kim_cnn .outcome")).to_have_attribute("aria-busy", "false")


@pytest.mark.parametrize("cancels", [True, False])
def test_a_late_answer_never_overwrites_a_newer_one(page: Page, cancels: bool) -> None:
    """The older request is cancelled; should its answer be on its way already, it still comes to nothing."""
    held = hold(page)
    if not cancels:
        page.add_init_script("AbortController.prototype.abort = () => {}")
    open_page(page)
    classify(page, "the older")
    wait_for(page, held, 1)
    classify(page, "the newer")
    wait_for(page, held, 2)
    reply(held[1], 200, sentiment({"input": "the newer"}, label="very positive"))
    expect(page.locator(".label")).to_have_text("very positive")
    if not cancels:
        with page.expect_response(lambda response: "the older" in (response.request.post_data or "")):
            reply(held[0], 200, sentiment({"input": "the older"}, label="negative"))
        page.wait_for_timeout(100)
    expect(page.locator(".label")).to_have_text("very positive")
    expect(page.locator("#kim_cnn .text")).to_have_text("the newer")
    expect(page.locator("#kim_cnn .problem")).to_have_count(0)


def test_a_request_without_an_answer_times_out(page: Page) -> None:
    page.clock.install()
    held = hold(page)
    open_page(page)
    classify(page, "a fine film")
    wait_for(page, held, 1)
    page.clock.fast_forward(34_000)
    expect(page.locator(".send [role=status]").first).to_have_text("Waiting for the answer…")
    page.clock.fast_forward(2_000)
    expect(page.locator(".problem")).to_contain_text("No answer from api.test in 35 seconds")


# The setting

APIS = [
    (f"{API}/", API),
    (f"{API}/kim_cnn", API),
    (f"  {API}/sm_cnn/?x=1#y ", API),
    ("https://abc.execute-api.us-east-1.amazonaws.com", "https://abc.execute-api.us-east-1.amazonaws.com"),
]


@pytest.mark.parametrize(("typed", "asked"), APIS)
def test_every_url_that_a_deployment_prints_works(page: Page, typed: str, asked: str) -> None:
    open_page(page, "")
    field = page.get_by_label("API URL")
    field.fill(typed)
    field.press("Enter")
    expect(field).to_have_value(asked)
    expect(field).to_have_attribute("aria-invalid", "false")


class FunctionUrls:
    """Two function URLs, SM-CNN's first; which model is where, they say when the test lets them."""

    def __init__(self, page: Page) -> None:
        self.held: list[tuple[Route, str]] = []
        self.asked: list[str] = []
        page.route("http://sm.test/**", lambda route: self.answer(route, "sm_cnn"))
        page.route("http://kim.test/**", lambda route: self.answer(route, "kim_cnn"))

    def answer(self, route: Route, model: str) -> None:
        if route.request.method == "GET":
            self.held.append((route, model))
            return
        self.asked.append(route.request.url)
        fields: dict[str, Any] = route.request.post_data_json or {}
        reply(route, 200, sentiment(fields) if model == "kim_cnn" else relevance(fields))

    def introduce(self) -> None:
        """Answer on every path, as function URLs do, so that the path tells nothing."""
        for route, model in self.held:
            reply(route, 200, {**ABOUT[model], "samples": []})


def test_each_model_is_asked_at_the_function_url_where_it_says_it_is(page: Page) -> None:
    urls = FunctionUrls(page)
    open_page(page, "http://sm.test/sm_cnn%20http://kim.test/kim_cnn#model=kim_cnn&input=a+fine+film")
    expect(page.get_by_label("API URL")).to_have_value("http://sm.test http://kim.test")
    expect(page.locator("#api-note")).to_have_text("Requests go to sm.test and kim.test.")
    expect(page.locator("#kim_cnn [aria-busy=true]")).to_have_count(1)
    page.wait_for_timeout(200)  # in which it could ask one that has not said what it is
    assert urls.asked == []
    urls.introduce()
    expect(page.locator(".label")).to_have_text("positive")
    rank(page, "what?", "short", "the longest")
    expect(page.locator(".ranking li")).to_have_count(2)
    assert urls.asked == ["http://kim.test/kim_cnn", "http://sm.test/sm_cnn"]


@pytest.mark.parametrize("api", ["javascript:alert(1)", "file:///etc/passwd", "data:,x", "api.test", "http://u:p@a/"])
def test_a_setting_that_is_not_a_url_is_refused(page: Page, api: str) -> None:
    requests = serve(page)
    open_page(page, api)
    field = page.get_by_label("API URL")
    expect(field).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#kim_cnn .problem")).to_contain_text("There is no API URL")
    expect(field).to_be_focused()
    assert requests == []


def test_without_a_setting_the_page_says_where_to_get_one(page: Page) -> None:
    page.goto(PAGE)
    page.get_by_role("button", name="Rank").click()
    expect(page.locator("#sm_cnn .problem")).to_contain_text("make serve")
    requests = serve(page, samples=True)
    page.get_by_label("API URL").fill(API)
    page.get_by_role("button", name="Use").click()
    expect(page.get_by_label("Question", exact=True)).to_have_value("who painted the Mona Lisa?")
    expect(page.locator(".ranking li")).to_have_count(4)
    assert sorted(model for model, _ in requests) == ["kim_cnn", "sm_cnn"]


def test_a_token_is_sent_to_its_api_and_shown_nowhere(page: Page) -> None:
    sent: list[str | None] = []
    serve(page)
    page.on("request", lambda request: sent.append(request.headers.get("authorization")))
    open_page(page)
    page.get_by_text("API settings").click()
    page.get_by_label("Token, if").fill(" ey.abc ")
    classify(page, "a fine film")
    expect(page.locator(".label")).to_have_text("positive")
    assert sent[-1] == "Bearer ey.abc"
    page.locator("#kim_cnn .code summary").click()
    expect(page.locator("#kim_cnn pre").first).to_contain_text('-H "Authorization: Bearer $TOKEN"')
    assert "ey.abc" not in page.content() + page.url
    page.get_by_label("API URL").fill("http://other.test")
    page.get_by_label("API URL").press("Enter")
    expect(page.get_by_label("Token, if")).to_have_value("")


def test_an_api_that_lets_nobody_in_leads_to_the_token(page: Page) -> None:
    on_post(page, lambda route: reply(route, 401, {"message": "Unauthorized"}))
    open_page(page)
    classify(page, "a fine film")
    expect(page.locator("#kim_cnn .problem")).to_contain_text("It may ask for a token")


# For everyone


def test_everything_works_by_keyboard(page: Page) -> None:
    requests = serve(page, samples=True)
    open_page(page)
    expect(page.locator(".ranking li")).to_have_count(4)
    expect(page.locator(".label")).to_be_visible()
    requests.clear()
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.evaluate("document.activeElement === document.body ? '' : "
                             "document.activeElement.id || document.activeElement.textContent")  # fmt: skip
        if not here:
            break
        reached.append(here)
    assert reached[:6] == ["API settings", "input", "Classify", "curl", "Python", "JavaScript"]
    assert {"link", "Show the code", "Answer a file of texts"} <= set(reached)
    assert {"sent1", "sent2", "Rank", "This isn't a good movie!", "what do koalas eat?"} <= set(reached)
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("film")
    page.keyboard.press("Enter")
    expect(page.locator(".label")).to_be_visible()
    page.get_by_label("Candidate answers").focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("this")
    page.keyboard.press("Enter")
    page.keyboard.type("or that")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".ranking li")).to_have_count(2)
    page.get_by_role("button", name="This isn't a good movie!").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#kim_cnn .text")).to_have_text("This isn't a good movie!")
    assert [fields for _, fields in requests] == [
        {"input": "one\nfilm"},
        {"sent1": "who painted the Mona Lisa?", "sent2": ["this", "or that"]},
        {"input": "This isn't a good movie!"},
    ]


LOOKS = [
    {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "reduced_motion": "reduce"}
    for width in (320, 768, 1280)
    for scheme in ("light", "dark")
]


@pytest.mark.parametrize(
    "page", LOOKS, indirect=True, ids=lambda look: f"{look['viewport']['width']}-{look['color_scheme']}"
)
def test_every_state_is_accessible_and_as_wide_as_the_screen(page: Page) -> None:
    def check(state: str) -> None:
        results = Axe().run(page, options={"preload": False})  # it would fetch the style sheet from disk
        assert results.violations_count == 0, f"{state}: {results.generate_report()}"
        parts = "[...document.querySelectorAll('html, .outcome')]"
        assert page.evaluate(f"{parts}.every((part) => part.scrollWidth <= part.clientWidth)"), state

    open_page(page, "")
    check("empty")
    page.get_by_label("API URL").fill(API)
    serve(
        page,
        lambda fields: explained(fields, unknown_words=["zorblax", "w" * 100], influence=[0.2, 0.1, -0.2, 0.0]),
        lambda fields: explained_pairs(fields),
    )
    classify(page, f"a zorblax film {'w' * 100}")
    rank(page, f"who is zorblax {'q' * 100}", "nobody", "zorblax " + "c" * 100)
    expect(page.locator(".ranking li")).to_have_count(2)
    for summary in page.locator("main summary").all():
        summary.click()
    check("answers")
    classify(page, "a fine film " * 100)
    expect(page.locator("#kim_cnn .long")).to_be_visible()
    check("folded")
    page.unroute_all()
    on_post(page, lambda route: reply(route, 503, {"error": "e" * 100}))
    classify(page, "a fine film")
    expect(page.locator("#kim_cnn .problem")).to_be_visible()
    classify(page, "")
    check("problem")
