"""Fixtures: the demo page in a headless Chromium, the page of Debian's package or of its maker."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

SECONDS = 30  # a busy machine is slow, and a test that fails has time
expect.set_options(timeout=1000 * SECONDS)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("the demo page is tested in Chromium, and there is none: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab of its own, of the size and settings given as parameter; whatever goes wrong in it fails the test."""
    context = browser.new_context(**getattr(request, "param", {}))
    context.set_default_timeout(1000 * SECONDS)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Failed to load resource" not in said.text else None)
    yield page
    context.close()
    # What some tests are about is logged too: what CORS or the page's policy stopped.
    stopped = (
        "blocked by CORS policy",
        "'TrustedHTML'",
        'Security Policy directive: "connect-src',
        "Refused to connect because it violates",
    )
    assert [line for line in wrong if not any(reason in line for reason in stopped)] == []


@pytest.fixture
def held_moves(page: Page) -> Page:
    """The same tab, with every move held at its start until `finish_moves`."""
    page.add_init_script(
        """
        const animate = Element.prototype.animate;
        Element.prototype.animate = function (...how) {
            const animation = animate.apply(this, how);
            animation.pause();
            return animation;
        };
        """
    )
    return page


def seen(page: Page) -> list[str]:
    """Return the ranked candidates from top to bottom as the eye sees them, moved or not."""
    texts: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".ranking li")]
            .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
            .map((item) => item.querySelector(".text").textContent)"""
    )
    return texts


def finish_moves(page: Page) -> None:
    page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
