"""The dashboard in many tabs at once, with a long output, and in a browser that names no language."""

import json
import re

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Opener, listen
from tests.browser.scene import Scene

TABS = 8
"""More than the connections that a browser opens to a host."""
NO_LANGUAGE = """
    Object.defineProperty(Navigator.prototype, "language", { get: () => "C", configurable: true });
    Object.defineProperty(Navigator.prototype, "languages", { get: () => ["C"], configurable: true });
"""


def test_eight_tabs_follow_a_job_and_hear_that_one_signed_out(open_context: Opener, scene: Scene) -> None:
    context = open_context()
    tabs = [context.new_page() for _ in range(TABS)]
    complaints = [listen(tab) for tab in tabs]
    for tab in tabs:
        tab.goto(f"/jobs/{scene.ids['neighbour']}")
        expect(tab.get_by_text(re.compile("step [0-9]+")).first).to_be_visible()
    tabs.pop(0).close()
    scene.go_on(320)
    for tab in tabs:
        expect(tab.get_by_text("step 320").first).to_be_visible()
    assert [told for told in complaints if told] == []
    tabs[0].get_by_role("button", name="admin").click()
    tabs[0].get_by_role("menuitem", name="Sign out").click()
    for tab in tabs:
        expect(tab.get_by_role("button", name="Sign in")).to_be_visible()
    context.close()


def test_a_tab_that_nobody_saw_reads_again_what_it_missed(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.ids['small']}")
    expect(page.get_by_text(re.compile("step [0-9]+")).first).to_be_visible()
    _look_away(page, hidden=True)
    scene.go_on(340)
    scene.client.get(f"/v1/jobs/{scene.ids['small']}").raise_for_status()
    _look_away(page, hidden=False)
    expect(page.get_by_text("step 340").first).to_be_visible()


def _look_away(page: Page, *, hidden: bool) -> None:
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_line_of_a_megabyte_is_cut_and_holds_nothing_up(page: Page, scene: Scene) -> None:
    text = (
        "first\n\x1b[?25l\x1b]8;;http://x\x1b\\linked\x1b]8;;\x1b\\\n"
        + "\x1b[31mx\x1b[0m-" * 2**17
        + "\n 5%\r99%\nlast\n"
    )
    answer = {"offset": 0, "next_offset": len(text), "complete": True, "text": text}

    def fulfil(route: Route) -> None:
        route.fulfill(body=json.dumps(answer), content_type="application/json")

    page.route("**/logs?*", fulfil)
    page.goto(f"/jobs/{scene.ids['trained']}?tab=output")
    log = page.get_by_role("log")
    # A quadratic expression took over a minute.
    expect(log).to_contain_text("last")
    lines = log.inner_text().splitlines()
    assert (lines[:2], lines[-2:]) == (["first", "linked"], ["99%", "last"])
    assert len(log.inner_text()) < 4000
    page.get_by_role("button", name="Show whole line (262,144 characters)").click()
    expect(page.get_by_role("button", name=re.compile("Show whole line"))).to_have_count(0)
    assert len(log.inner_text()) > 2**18


def test_pages_work_where_the_browser_names_no_language(open_context: Opener, scene: Scene) -> None:
    context = open_context()
    context.add_init_script(NO_LANGUAGE)
    page = context.new_page()
    complaints = listen(page)
    page.goto(f"/jobs/{scene.ids['trained']}")
    expect(page.get_by_role("img", name=re.compile("^Chart of")).first).to_be_visible()
    page.goto(f"/jobs/{scene.ids['trained']}?tab=history")
    expect(page.get_by_role("time").or_(page.locator("time")).first).to_be_visible()
    assert complaints == []
    context.close()
