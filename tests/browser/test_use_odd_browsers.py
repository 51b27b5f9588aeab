"""Browsers as they are: without a clipboard, storage or cookies, with a wrong clock, a translator, or an old page."""

import re

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Opener, listen
from tests.browser.scene import Scene

NO_CLIPBOARD = "Object.defineProperty(Navigator.prototype, 'clipboard', { get: () => undefined });"
NO_STORAGE = """
    const refuse = () => { throw new DOMException("forbidden", "SecurityError"); };
    for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { get: refuse });
    for (const name of ["BroadcastChannel", "SharedWorker"])
      window[name] = class { constructor() { refuse(); } };
"""
CLOCK_AHEAD = "const clock = Date.now; Date.now = () => clock() + 5 * 3600 * 1000;"
TRANSLATE = """
    () => {
      const walker = document.createTreeWalker(document.getElementById("root"), NodeFilter.SHOW_TEXT);
      const found = [];
      while (walker.nextNode()) if (walker.currentNode.data.trim() !== "") found.push(walker.currentNode);
      for (const text of found) {
        const font = document.createElement("font");
        font.textContent = `[${text.data}]`;
        text.replaceWith(font);
      }
      return found.length;
    }
"""


def odd(open_context: Opener, script: str, *, signed_in: bool = True) -> tuple[Page, list[str]]:
    """A page of a browser in which the script ran before it, and what the page complains of."""
    page = open_context(signed_in=signed_in).new_page()
    page.add_init_script(script)
    return page, listen(page)


def test_command_is_copied_without_https(open_context: Opener) -> None:
    page, complaints = odd(open_context, NO_CLIPBOARD)
    page.goto("/account")
    page.get_by_role("button", name="Copy the commands").click()
    expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    page.get_by_role("button", name="New token").click()
    name = page.get_by_label("Name")
    name.press("Control+v")
    expect(name).to_have_value(re.compile("^pip install .*gpulab sign-in "))
    name.fill("copied")
    page.get_by_role("button", name="Create").click()
    token = page.locator("pre", has_text="glab_").inner_text()
    page.get_by_role("dialog").get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Copied", exact=True)).to_be_visible()
    # Only its button closes what is shown once.
    page.keyboard.press("Escape")
    page.mouse.click(5, 300)
    expect(page.get_by_text(token)).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text(token)).to_have_count(0)
    assert complaints == []
    page.context.close()


def test_copying_that_is_forbidden_says_what_to_do(open_context: Opener) -> None:
    page, _ = odd(open_context, f"{NO_CLIPBOARD} document.execCommand = () => false;")
    page.goto("/account")
    page.get_by_role("button", name="Copy the commands").click()
    expect(page.get_by_text("Select the text, and copy it with Ctrl+C")).to_be_visible()
    page.context.close()


def test_browser_that_keeps_nothing_shows_every_page(open_context: Opener, scene: Scene) -> None:
    page, complaints = odd(open_context, NO_STORAGE)
    for path, heading in (
        ("/", "Lab"),
        (f"/jobs/{scene.ids['trained']}", "bands, few images"),
        ("/account", "account"),
    ):
        page.goto(path)
        expect(page.get_by_role("heading", name=re.compile(heading)).first).to_be_visible()
    page.get_by_role("button", name=re.compile("Switch to")).click()
    # Answered here: the documentation, which has it, need not be built.
    page.route("**/docs/changes.json", lambda route: route.fulfill(json=[]))
    page.get_by_title("What is new").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert complaints == []
    page.context.close()


def test_browser_that_refuses_the_cookie_says_so(open_context: Opener, scene: Scene) -> None:
    page = open_context(signed_in=False).new_page()
    signed_in = {**scene.client.get("/v1/me").json(), "csrf": "x"}
    page.route("**/v1/session", lambda route: route.fulfill(json=signed_in))
    page.goto("/sign-in")
    page.get_by_label("Token", exact=True).fill(scene.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("did not keep the lab's cookie")
    page.context.close()


def test_university_is_offered_and_told_where_to_return_to(open_context: Opener) -> None:
    page = open_context(signed_in=False).new_page()
    page.route("**/v1/openid", lambda route: route.fulfill(json={"configured": True, "start": "/v1/openid/start"}))
    page.goto('/jobs?state=["failed"]&text=ß')
    link = page.get_by_role("link", name="Sign in with your university")
    expect(link).to_have_attribute("href", re.compile(r"^/v1/openid/start\?then=%2Fjobs%3F[\x21-\x7e]+$"))
    page.context.close()


def test_sign_out_that_did_not_reach_the_lab_is_none(open_context: Opener) -> None:
    page = open_context().new_page()
    page.goto("/account")
    page.route("**/v1/session", lambda route: route.abort())
    page.get_by_role("button", name="admin").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_text("You are still signed in")).to_be_visible()
    page.unroute("**/v1/session")
    page.get_by_role("button", name="admin").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    page.context.close()


def test_ages_are_right_where_the_clock_is_wrong(open_context: Opener, scene: Scene) -> None:
    page, complaints = odd(open_context, CLOCK_AHEAD)
    page.goto(f"/jobs/{scene.ids['trained']}?tab=history")
    expect(page.locator("time").first).to_be_visible()
    expect(page.locator("time", has_text=re.compile("hour"))).to_have_count(0)
    assert complaints == []
    page.context.close()


def test_year_with_five_digits_leaves_the_form_in_place(page: Page, scene: Scene) -> None:
    page.goto("/class?tab=assignments")
    page.get_by_role("button", name="New assignment").click()
    page.get_by_label("Name").fill("Homework 9")
    deadline = page.get_by_label("Deadline")
    deadline.evaluate(
        """(field) => {
          Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, "20300-01-31T10:00");
          field.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    expect(page.get_by_label("Name")).to_have_value("Homework 9")
    expect(page.get_by_role("button", name="Create")).to_be_disabled()
    # A click beside the dialog loses nothing.
    page.mouse.click(5, 300)
    expect(page.get_by_label("Name")).to_have_value("Homework 9")


def test_translated_page_goes_on(page: Page, scene: Scene) -> None:
    page.goto("/jobs")
    expect(page.get_by_role("link", name="first try")).to_be_visible()
    job = f"/jobs/{scene.ids['trained']}"
    for path, shown in (("/account", "Your account"), (job, "bands, few images"), ("/jobs", "Jobs")):
        assert page.evaluate(TRANSLATE) > 10
        page.evaluate(
            "(path) => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')); }", path
        )
        expect(page.get_by_role("heading", name=shown).first).to_be_visible()


def test_part_that_an_upgrade_replaced_comes_with_the_new_page(open_context: Opener) -> None:
    page = open_context().new_page()
    page.goto("/account")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    asked = []

    def gone_at_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=404, body="gone")
        else:
            route.continue_()

    page.route("**/assets/Predictions-*.js", gone_at_first)
    page.get_by_role("link", name="Predictions").click()
    expect(page.get_by_role("heading", name=re.compile("redictions")).first).to_be_visible()
    assert len(asked) > 1
    page.context.close()


def test_page_that_was_not_loaded_before_the_network_went_comes_when_it_is_back(open_context: Opener) -> None:
    page = open_context().new_page()
    page.goto("/account")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("link", name="Studies").click()
    expect(page.get_by_role("status", name="Loading").first).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="Studies").first).to_be_visible()
    page.context.close()
