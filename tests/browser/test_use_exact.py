"""Integers that a JavaScript number would round, on their way through the pages."""

import re

from playwright.sync_api import Page, expect

from tests.browser.scene import Scene

SEED = 2**63 - 25


def test_a_large_seed_is_shown_copied_and_run_again_with_every_digit(page: Page, scene: Scene) -> None:
    job_id = scene.submit("dropout-linear", {"dropout": 0.5}, name="a large seed", seed=SEED)
    scene.wait_for(job_id, "succeeded", timeout_seconds=60)
    page.goto(f"/jobs/{job_id}?tab=spec")
    expect(page.get_by_text(f"{SEED:,}").first).to_be_visible()
    page.goto(f"/submit?from={job_id}")
    expect(page.get_by_label("Seed")).to_have_value(str(SEED))
    page.get_by_label("Seed").fill(str(SEED + 1))
    page.get_by_label("Name").fill("a larger seed")
    page.get_by_role("button", name="Submit").click()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    again = scene.client.get(f"/v1/jobs/{page.url.rsplit('/', 1)[1]}").json()
    assert (again["name"], again["seed"]) == ("a larger seed", SEED + 1)
