"""Chromium driven against a whole lab. Without Chromium or a built dashboard these tests are skipped, and say why."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.scene import Scene

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome")
SHELL = "chromium-headless-shell"
"""The same engine without what draws a browser's own windows, which is a third of what a test costs."""
# No sandbox, since tests may run as root; and nothing that the browser would do on its own account.
FLAGS = [
    f"--{name}"
    for name in (
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-default-apps",
    )
]
TIMEOUT_MILLISECONDS = 15_000
"""A page that shares two cores with a lab at work may need some seconds."""
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}


def chromium(*better: str) -> str | None:
    """Where Chromium is, if it is; one of these names where there is one."""
    return next(filter(None, map(shutil.which, (*better, *NAMES, SHELL))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first of these tests also waits for the scene, which trains."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium(SHELL)
    if path is None:
        pytest.skip(f"needs Chromium: apt-get install {SHELL}, or chromium")
    if not (ROOT / "dashboard" / "dist" / "index.html").exists():
        pytest.skip("needs the built dashboard: make dashboard")
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield made
        made.close()


@pytest.fixture(scope="package")
def scene(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A lab where much goes on."""
    made = Scene(tmp_path_factory.mktemp("scene"))
    try:
        made.start()
        made.play()
        yield made
    finally:
        made.stop()


Opener = Callable[..., BrowserContext]


@pytest.fixture(scope="package")
def open_context(browser: Browser, scene: Scene) -> Iterator[Opener]:
    """Make a browser of its own: theme, device, and whether somebody is signed in."""
    made: list[BrowserContext] = []

    def opened(theme: str = "light", device: str = "desktop", *, signed_in: bool = True) -> BrowserContext:
        width, height = SIZES[device]
        context = browser.new_context(
            base_url=scene.url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            is_mobile=device == "phone",
            has_touch=device == "phone",
            timezone_id="Europe/Berlin",
            locale="en-GB",
        )
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        if signed_in:
            answer = context.request.post("/v1/session", data={"token": scene.token})
            assert answer.ok, answer.text()
        made.append(context)
        return context

    yield opened
    for context in made:
        context.close()


@pytest.fixture
def page(open_context: Opener) -> Iterator[Page]:
    """A signed-in page on a desktop, whose errors fail the test."""
    made = open_context().new_page()
    complaints = listen(made)
    yield made
    made.context.close()
    assert complaints == []


def listen(page: Page) -> list[str]:
    """What the page complains of from now on: its errors, and whatever its policy refused."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if _is_complaint(line) else None)
    return complaints


def _is_complaint(line: ConsoleMessage) -> bool:
    """Neither a form's mistakes nor that nothing was handed in yet is one, though the browser notes each refusal."""
    answered = "status of 422" in line.text or line.location["url"].endswith("/submission")
    return line.type == "error" and not answered
