"""Take a picture of the demo page, as the README shows it: `make screenshot`.

    python bench/screenshot.py docs/page.png
    python bench/screenshot.py phone.png --width 390 --dark --whole

The committed models answer their first samples here, with the vectors in data/. Needs Chromium, as the tests
of the page do.
"""

import json
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, Route, sync_playwright

import kim_cnn.predict
import sm_cnn.predict
from inference.model_file import Model
from inference.service import Predict, Service
from inference.settings import Settings
from toolkit import cli
from toolkit.cli import CommandError, run
from toolkit.vectors.file import load_vectors

ROOT = Path(__file__).resolve().parent.parent
API = "https://api.example"
VECTORS = {"kim_cnn": "data/kim_cnn.vectors.txt.gz", "sm_cnn": "data/glove.6B.50d.sample.txt.gz"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class VectorsHere:
    """The vectors of a file in place of a table."""

    def __init__(self, path: Path):
        """Read them from `path`, for each request anew."""
        self.path = path

    def lookup(self, words: Iterable[str], *_: Any) -> dict[str, np.ndarray | None]:
        """Return the vector of each distinct word, None for one that the file does not have."""
        known = load_vectors(self.path, list(words))
        return {word: known.get(word) for word in words}


def serve(page: Page, services: dict[str, Service]) -> None:
    """Answer what the page asks of the API."""

    def answer(route: Route) -> None:
        service = services[route.request.url.rpartition("/")[2]]
        fields = route.request.post_data_json if route.request.method == "POST" else None
        content = service.answer(fields, time.monotonic() + 60) if fields else service.about()
        route.fulfill(body=json.dumps(content), headers={"Access-Control-Allow-Origin": "*"})

    page.route(f"{API}/**", answer)


def service(predict: Predict) -> Service:
    """Return the committed model as a service with its vectors."""
    model: Model = predict.load(ROOT / f"{predict.ARCHITECTURE}.model")
    vectors: Any = VectorsHere(ROOT / VECTORS[predict.ARCHITECTURE])
    return Service(predict, model, vectors, Settings())


def main() -> int:
    """Run the command line; return the exit code."""
    parser = cli.parser(__doc__)
    parser.add_argument("output", type=Path, help="the PNG file to write")
    parser.add_argument("--width", type=cli.positive, default=1280, help="of the window (default: %(default)s)")
    parser.add_argument("--height", type=cli.positive, default=885, help="of the window (default: %(default)s)")
    parser.add_argument("--dark", action="store_true", help="in the dark colour scheme")
    parser.add_argument("--whole", action="store_true", help="the whole page, not what the window shows of it")
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise CommandError("no Chromium here: apt-get install chromium")
    services = {each.ARCHITECTURE: service(each) for each in (kim_cnn.predict, sm_cnn.predict)}
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=browser) as chromium:
        page = chromium.new_page(
            viewport={"width": options.width, "height": options.height},
            color_scheme="dark" if options.dark else "light",
            reduced_motion="reduce",
        )
        serve(page, services)
        page.goto(f"{(ROOT / 'demo/index.html').as_uri()}?api={API}")
        page.locator(".label").wait_for()
        page.locator(".ranking").wait_for()
        # How long it took here says nothing about a deployment.
        page.evaluate("document.querySelectorAll('.took').forEach((line) => line.remove())")
        page.screenshot(path=options.output, full_page=options.whole)
    return 0


if __name__ == "__main__":
    run(main)
