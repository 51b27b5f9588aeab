"""Without a mouse and without colours: every task by keys alone, and states told apart by word and shape."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.scene import Scene

MAX_STOPS = 80
STATES = """() => [...document.querySelectorAll("main .state")].map((badge) =>
    [badge.innerText.trim().split(":")[0], badge.querySelector("svg")?.innerHTML])"""
METERS = """() => [...document.querySelectorAll("main [role=meter]")].map((meter) =>
    [meter.getAttribute("aria-valuetext"), meter.parentElement.innerText.trim()])"""


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/", {"Up", "Running"}),
        ("/jobs", {"Queued", "Running", "Succeeded", "Failed"}),
        ("/nodes", {"Up"}),
        ("/studies", {"Succeeded"}),
    ],
)
def test_states_are_told_apart_without_colour(page: Page, address: str, words: set[str]) -> None:
    page.goto(address)
    for word in words:
        expect(page.locator("main .state", has_text=word).first).to_be_visible()
    looks = {(word, shape) for word, shape in page.evaluate(STATES)}
    assert all(word and shape for word, shape in looks)
    assert len({word for word, _ in looks}) == len({shape for _, shape in looks}) == len(looks)


def test_bars_say_in_words_what_they_show(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("meter").first).to_be_visible()
    for said, beside in page.evaluate(METERS):
        assert said
        assert re.findall(r"[^\s,]+", said) == re.findall(r"[^\s,]+", beside)


def test_timeline_is_walked_by_arrow_keys_and_a_run_opened(page: Page) -> None:
    page.goto("/")
    bar = page.get_by_role("link", name=re.compile("^packed, first, running, since"))
    expect(bar).to_be_visible()
    expect(page.locator(".timeline [tabindex='0']")).to_have_count(1)
    bar.focus()
    expect(page.locator(".timeline .tip")).to_contain_text("packed, first")
    lane = page.get_by_role("list", name=re.compile("^GPU ")).filter(has=bar).locator(".bar")
    page.keyboard.press("Home")
    expect(lane.first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(lane.nth(1)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(lane.first).to_be_focused()
    bar.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="packed, first")).to_be_visible()


def test_job_is_submitted_and_cancelled_by_keys(page: Page, scene: Scene) -> None:
    with scene.drained():
        page.goto("/submit?experiment=probe")
        go_to(page, page.get_by_label("Name", exact=True))
        page.keyboard.type("typed, never clicked")
        go_to(page, page.get_by_role("button", name="Submit"))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="typed, never clicked")).to_be_visible()
        go_to(page, page.get_by_role("button", name="Cancel"))
        page.keyboard.press("Enter")
        expect(page.locator("main .state", has_text="Cancelled").first).to_be_visible()


def test_runs_are_chosen_and_compared_by_keys(page: Page) -> None:
    page.goto("/jobs?text=bands")
    for name in ("Select bands, more", "Select bands, few"):
        box = page.get_by_role("checkbox", name=re.compile(name)).last
        go_to(page, box)
        page.keyboard.press("Space")
        expect(box).to_be_checked()
    go_to(page, page.get_by_role("link", name="Compare 2"), key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Differences")).to_be_visible()


@pytest.mark.parametrize(
    ("address", "button"),
    [("/nodes", "Drain"), ("/class", "Add user"), ("/account", "New token"), ("/jobs/{done}", "Hand in")],
)
def test_dialog_keeps_the_keys_to_itself_and_gives_them_back(
    page: Page, scene: Scene, address: str, button: str
) -> None:
    page.goto(address.format(**scene.ids))
    opener = page.get_by_role("button", name=button, exact=True)
    go_to(page, opener)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(":focus")).to_have_count(1)
    for _ in range(8):
        page.keyboard.press("Tab")
        # Not by `:focus`, which a date's button within its field does not match. Behind such a field the browser itself
        # moves the focus on, and the dialog takes it back a moment later.
        page.wait_for_function("(element) => element.contains(document.activeElement)", arg=dialog.element_handle())
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()


def test_menu_opens_and_closes_by_keys(page: Page) -> None:
    page.goto("/")
    person = page.get_by_role("button", name="admin")
    go_to(page, person)
    page.keyboard.press("Enter")
    expect(page.locator("[role=menu]:focus, [role=menu] :focus")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Account and tokens")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(person).to_be_focused()


def go_to(page: Page, target: Locator, *, key: str = "Tab") -> None:
    """Press a key until the focus is there, and see that it is: what cannot be reached, or not seen, fails."""
    expect(target).to_be_enabled()
    target.scroll_into_view_if_needed()
    before = around(page, target)
    for _ in range(MAX_STOPS):
        page.keyboard.press(key)
        if target.evaluate("(element) => element === document.activeElement"):
            assert around(page, target) != before, "the focus is not seen"
            return
    raise AssertionError(f"{MAX_STOPS} times {key} did not lead to {target}")


def around(page: Page, target: Locator) -> bytes:
    """An image of it with room for a ring."""
    box = target.bounding_box()
    assert box is not None
    clip = {"x": box["x"] - 5, "y": box["y"] - 5, "width": box["width"] + 10, "height": box["height"] + 10}
    return page.screenshot(clip=clip, animations="disabled")  # type: ignore[arg-type] # a plain dict is one
