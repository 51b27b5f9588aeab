"""The dashboard of a lab that a proxy serves below a path."""

import re

from playwright.sync_api import Browser, expect

from tests.browser.conftest import SHOTS, listen
from tests.browser.prefix_proxy import below
from tests.browser.scene import Scene

PREFIX = "/shared/gpulab"


def test_everything_works_below_a_path(browser: Browser, scene: Scene) -> None:
    with below(PREFIX, scene.port) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        complaints = listen(page)
        page.goto(f"{address}/jobs/{scene.ids['trained']}?tab=files")
        expect(page).to_have_url(re.compile(f"{PREFIX}/sign-in"))
        expect(page.get_by_text(f"pip install {address}/client/gpulab-")).to_be_visible()
        page.screenshot(path=SHOTS / "sign-in-below-a-path.png")
        page.get_by_label("Token", exact=True).fill(scene.token)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="bands, few images")).to_be_visible()
        expect(page).to_have_url(f"{address}/jobs/{scene.ids['trained']}?tab=files")
        link = page.get_by_role("link", name=re.compile("^Download ")).first
        assert context.request.get(str(link.get_attribute("href")).replace(PREFIX, address, 1)).ok
        page.get_by_role("link", name="Account").or_(page.get_by_role("button", name="admin")).first.click()
        assert {cookie["path"] for cookie in context.cookies()} == {PREFIX}

        page.goto(f"{address}/jobs/{scene.ids['running']}")
        scene.go_on(310)
        expect(page.get_by_text("step 310").first).to_be_visible()
        page.goto(f"{address}/account")
        expect(page.get_by_text(f"gpulab sign-in {address}")).to_be_visible()
        page.screenshot(path=SHOTS / "account-below-a-path.png")
        assert complaints == []
        page.get_by_role("button", name="admin").click()
        page.get_by_role("menuitem", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert context.cookies() == []
        context.close()
