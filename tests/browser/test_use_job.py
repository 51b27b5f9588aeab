"""The page of a run: what it shows first, no empty tabs, one main action, images over steps."""

import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.scene import Scene


def test_images_of_several_steps_are_one_with_a_slider(page: Page, scene: Scene, tmp_path: Path) -> None:
    names = ["epoch-10.png", "epoch-2.png", "epoch-9.png", "curve.png"]
    files = [
        {"name": name, "media_type": "image/png", "size_bytes": 99, "sha256": f"{place:064x}", "attempt": 1}
        for place, name in enumerate(names)
    ]
    dot = f"{tmp_path}/dot.png"
    Image.new("RGB", (8, 8)).save(dot)
    page.route(re.compile("/artifacts$"), lambda route: _answer(route, {"items": files}))
    page.route(re.compile(r"/artifacts/.*\.png"), lambda route: route.fulfill(path=dot, content_type="image/png"))
    page.goto(f"/jobs/{scene.ids['done']}")
    images = page.get_by_role("region", name="Images")
    slider = images.get_by_role("slider", name="Step of epoch-….png")
    expect(images.get_by_role("img")).to_have_count(2)
    expect(images.get_by_text("Image 3 of 3, step 10")).to_be_visible()
    slider.press("ArrowLeft")
    expect(images.get_by_role("img", name="Image epoch-9.png")).to_be_visible()
    slider.press("Home")
    expect(images.get_by_text("Image 1 of 3, step 2")).to_be_visible()
    expect(slider).to_have_attribute("aria-valuetext", "2")


def _answer(route: Route, body: object) -> None:
    route.fulfill(json=body)


def test_failed_run_says_why_first_and_has_no_empty_tab(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.ids['failed']}")
    why = page.get_by_role("alert").filter(has_text="Failed").first
    expect(why).to_be_visible()
    box, facts = why.bounding_box(), page.get_by_text("Submitted", exact=True).bounding_box()
    assert box is not None
    assert facts is not None
    assert box["y"] < facts["y"]
    expect(page.get_by_role("tab", name="Output")).to_be_visible()
    expect(page.get_by_role("tab", name="Files")).to_have_count(0)
    # One action stands out.
    expect(page.locator("main [data-variant=filled]")).to_have_text(["Run again with changes"])


def test_numbers_of_the_result_stand_above_the_facts(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.ids['trained']}")
    expect(page.get_by_label("Main result")).to_be_visible()
    box, facts = (
        page.get_by_label("Main result").bounding_box(),
        page.get_by_text("Submitted", exact=True).bounding_box(),
    )
    assert box is not None
    assert facts is not None
    assert box["y"] < facts["y"]
