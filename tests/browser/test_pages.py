"""Every page, light and dark, wide and narrow: it says what it should, fits, and a screen reader can read it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, SHOTS, SIZES, Opener, listen
from tests.browser.scene import Scene
from tests.lab import wait_until

AXE = ROOT / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""The rules that a theme can break."""
GRAVE = ("serious", "critical")
ALL_DRAWN = """() => [...document.querySelectorAll(".chart canvas")].every((canvas) =>
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0))"""

ALL_LOADED = """() => [...document.images].every((image) => {
    image.loading = "eager";  // the screenshot shows also what nobody scrolled to
    return image.complete;
})"""


@dataclass(frozen=True)
class View:
    """A page, by a name, at an address of the scene, with words that it must show."""

    name: str
    address: Callable[[dict[str, str]], str]
    words: str
    charts: int = 0
    report: str | None = None
    """Words within the frame that shows a report."""
    click: tuple[str, ...] = ()
    """Buttons to press first, for what lies behind them."""


VIEWS = [
    View("lab", lambda _: "/", "GPU 1"),
    View("jobs", lambda _: "/jobs", "first try"),
    View("job", lambda ids: f"/jobs/{ids['trained']}", "Validation accuracy", charts=2),
    View("job-running", lambda ids: f"/jobs/{ids['running']}", "step 260", charts=2),
    View("job-memory", lambda ids: f"/jobs/{ids['running']}?tab=memory", "Device (NVML)", charts=3),
    View("job-waiting", lambda ids: f"/jobs/{ids['waiting_1']}", "in the queue"),
    View("job-failed", lambda ids: f"/jobs/{ids['failed']}?tab=output", "ValueError: the probe was told to fail"),
    View("job-files", lambda ids: f"/jobs/{ids['trained']}?tab=files", "Download"),
    View("job-history", lambda ids: f"/jobs/{ids['trained']}?tab=history", "Starting"),
    View("job-spec", lambda ids: f"/jobs/{ids['trained']}?tab=spec", "Images per class"),
    View("compare", lambda ids: f'/compare?jobs=["{ids["trained"]}","{ids["trained_more"]}"]', "Differences", 2),
    View("compare-empty", lambda _: "/compare", "No runs selected"),
    View("submit", lambda _: "/submit", "Choose an experiment"),
    View("submit-form", lambda _: "/submit?experiment=train-classifier", "likely peak on the device"),
    View("submit-again", lambda ids: f"/submit?from={ids['out_of_memory']}", "How it ends after the last step"),
    View("studies", lambda _: "/studies", "Dropout on a linear unit"),
    View("study", lambda ids: f"/studies/{ids['study']}", "Runs compared"),
    View("study-grid", lambda ids: f"/studies/{ids['grid']}", "Resumed from"),
    View("study-charts", lambda ids: f"/studies/{ids['grid']}?tab=charts", "Parallel coordinates"),
    View(
        "study-report", lambda ids: f"/studies/{ids['study']}?tab=report", "Open in a new tab", report="sheet is wrong"
    ),
    View("study-seeds", lambda ids: f"/studies/{ids['grid']}", "Number of seeds", click=("Add seeds",)),
    View("study-new", lambda _: "/studies/new", "From a question set"),
    View("study-new-grid", lambda _: "/studies/new?kind=grid&experiment=train-classifier", "Same in every run"),
    View("assignments", lambda _: "/assignments", "What counts"),
    View("predictions", lambda _: "/predictions", "Median error", charts=1),
    View("job-snapshot", lambda ids: f"/jobs/{ids['out_of_memory']}?tab=memory", "Memory layout"),
    View("job-hand-in", lambda ids: f"/jobs/{ids['done']}", "Due", click=("Hand in",)),
    View("account", lambda _: "/account", "Use one token per device"),
    View("account-token", lambda _: "/account", "Last day", click=("New token",)),
    View("class", lambda _: "/class", "Ada Okafor"),
    View("class-import", lambda _: "/class", "Or paste the table", click=("Import a class",)),
    View("class-assignments", lambda _: "/class?tab=assignments", "Stuck"),
    View("class-wall", lambda _: "/class?tab=assignments&view=wall", "Point at a tile"),
    View("class-assignment", lambda _: "/class?tab=assignments", "Within the tolerance", click=("New assignment",)),
    View("class-grades", lambda _: "/class?tab=grades", "Released to students"),
    View("class-audit", lambda _: "/class?tab=audit", "Assignment created"),
    View("nodes", lambda _: "/nodes", "GPUs over time", charts=4),
    View("nowhere", lambda _: "/no/such/page", "Page not found"),
]


@pytest.fixture(scope="package", params=SIZES)
def on_device(request: pytest.FixtureRequest, open_context: Opener) -> Iterator[tuple[str, Page]]:
    page = open_context(device=request.param).new_page()
    yield request.param, page
    page.close()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_page_shows_what_it_should(on_device: tuple[str, Page], scene: Scene, view: View) -> None:
    device, page = on_device
    complaints = listen(page)
    page.emulate_media(color_scheme="light")
    page.goto(view.address(scene.ids))
    for name_of_button in view.click:
        page.get_by_role("button", name=name_of_button).click()
    # A narrow screen may have the same words in another place.
    expect(page.get_by_text(view.words).filter(visible=True).first).to_be_visible(timeout=30_000)
    if view.report:
        expect(page.frame_locator("iframe").get_by_text(view.report).first).to_be_visible()
    look_light_and_dark(page, device, view.name, view.charts)
    assert complaints == []


@pytest.mark.parametrize("device", SIZES)
def test_sign_in_page(open_context: Opener, device: str) -> None:
    page = open_context(device=device, signed_in=False).new_page()
    page.goto("/")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    look_light_and_dark(page, device, "sign-in")
    page.close()


def look_light_and_dark(page: Page, device: str, name: str, charts: int = 0) -> None:
    """As `look`, and once more where the system's theme changes under the page, which changes nothing but colours."""
    for theme in THEMES:
        switch_to(page, theme)
        if charts:
            expect(page.locator(".chart canvas").nth(charts - 1)).to_be_visible()
            wait_until(lambda: page.evaluate(ALL_DRAWN), what="every chart drawn")
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        look(page, f"{theme}-{device}", name, {} if theme == "light" else COLOURS)


def switch_to(page: Page, theme: Theme) -> None:
    page.emulate_media(color_scheme=theme)
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", theme)


def look(page: Page, mode: str, name: str, rules: Mapping[str, Any] | None = None) -> None:
    """Keep an image, and check what no eye should have to: nothing sticks out, and nothing grave for a reader."""
    place = SHOTS / mode / f"{name}.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    # Not by `wait_for_function`, which has the page itself evaluate a string, as its policy forbids.
    wait_until(lambda: page.evaluate(ALL_LOADED), what="the images")
    page.screenshot(path=place, full_page=True, animations="disabled")
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"the page is {over} px wider than the screen"
    assert grave(page, rules=rules) == []


def grave(page: Page, script: Path = AXE, rules: Mapping[str, Any] | None = None) -> list[str]:
    """What axe finds serious or worse, with where."""
    if not page.evaluate("'axe' in window"):
        # Not as a script element: the page's policy would rightly refuse it.
        page.evaluate(script.read_text() + "\n;undefined")
    options = {"resultTypes": ["violations"], **(rules or {})}
    found: list[dict[str, Any]] = page.evaluate(
        "(options) => axe.run(options).then((result) => result.violations)", options
    )
    return [
        f"{violation['id']} ({violation['impact']}): {node['target']} {node.get('failureSummary', '')}"
        for violation in found
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
