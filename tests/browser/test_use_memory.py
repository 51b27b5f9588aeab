"""Where a run's memory goes, and what would change it: the flame, the slider, and the way to a run that fits."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.browser.conftest import SIZES, Opener, listen
from tests.browser.scene import Scene
from tests.browser.test_pages import look_light_and_dark

PREDICTION_MILLISECONDS = 60_000
"""A prediction with its largest batch and edits takes processor seconds, of which other tests use some."""
FORM = "/submit?experiment=model-memory"
LONG = "The largest batch that fits with the same images per step, in smaller passes; batch norm uses the smaller ones."
CLIPPED = """(root) => [...root.querySelectorAll("*")].filter((one) =>
    one.checkVisibility() && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== "visible"
    && [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== "")
    && one.closest(".visually-hidden, [title]") === null).map((one) => one.textContent)"""


def hero_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Where the memory goes")


def thumb(page: Page) -> Locator:
    return hero_of(page).get_by_role("slider", name="Images per batch")


# In the page itself: the browser reports ends of requests after the page may have sent the next one.
COUNTED = """
    const counts = (window.estimates = { open: 0, most: 0, asked: 0 });
    const real = window.fetch;
    window.fetch = (input, init) => {
        const plain = { url: String(input), method: "GET", ...init };
        const { url, method, signal } = input instanceof Request ? input : plain;
        if (method !== "POST" || !url.includes("/v1/estimates")) return real(input, init);
        counts.asked += 1;
        counts.most = Math.max(counts.most, ++counts.open);
        let open = true;
        const end = () => {
            if (open) counts.open -= 1;
            open = false;
        };
        signal?.addEventListener("abort", end);
        return real(input, init).finally(end);
    };
"""


def test_slider_is_answered_by_predictions_one_at_a_time_and_fills_the_form(page: Page) -> None:
    page.add_init_script(COUNTED)
    page.goto(FORM)
    hero = hero_of(page)
    expect(hero).to_contain_text("Likely peak at batch 8", timeout=PREDICTION_MILLISECONDS)
    page.evaluate("Object.assign(window.estimates, { most: window.estimates.open, asked: 0 })")
    for _ in range(4):
        thumb(page).press("ArrowRight")
    expect(hero).to_contain_text("Likely peak at batch 128", timeout=PREDICTION_MILLISECONDS)
    expect(hero).not_to_contain_text("being predicted", timeout=PREDICTION_MILLISECONDS)
    counted = page.evaluate("window.estimates")
    assert counted["most"] == 1
    assert 1 <= counted["asked"] <= 7, "those passed on the way, the last one, and its neighbours"
    hero.get_by_role("combobox", name="Optimizer").click()
    page.get_by_role("option", name="adamw").click()
    expect(hero.get_by_text("Batch size 128, optimizer adamw")).to_be_visible()
    expect(hero.get_by_role("list", name="Causes of the peak")).to_contain_text("Optimizer state")
    hero.get_by_role("button", name="Use these values").click()
    expect(page.get_by_label("Batch size", exact=True)).to_have_value("128")
    expect(hero.get_by_role("button", name="Reset")).to_have_count(0)


def test_another_card_is_judged_with_what_is_missing_on_it(page: Page) -> None:
    page.goto(FORM)
    hero = hero_of(page)
    expect(hero.get_by_role("meter")).to_have_attribute("aria-valuetext", re.compile("free"))
    hero.get_by_role("combobox", name="Card").click()
    page.get_by_role("option", name=re.compile("^T4,")).click()
    hero.get_by_label("Exact images per batch").fill("512")
    expect(hero.get_by_role("meter", name="Memory of T4")).to_have_attribute(
        "aria-valuetext", re.compile("more than"), timeout=PREDICTION_MILLISECONDS
    )
    expect(hero).to_contain_text("Largest batch that fits")


def test_enter_in_the_what_if_submits_no_run_with_other_values(page: Page) -> None:
    sent: list[str] = []

    def asked(request: Request) -> None:
        if request.method == "POST" and re.search(r"/v1/jobs(\?|$)", request.url) and "dry_run" not in request.url:
            sent.append(request.url)

    page.goto(FORM)
    page.on("request", asked)
    exact = hero_of(page).get_by_label("Exact images per batch")
    exact.fill("16")
    exact.press("Enter")
    expect(hero_of(page)).to_contain_text("Likely peak at batch 16", timeout=PREDICTION_MILLISECONDS)
    expect(page).to_have_url(re.compile(re.escape(FORM)))
    assert sent == []


def test_flame_is_used_with_the_keyboard_and_read_as_a_table(page: Page) -> None:
    page.goto(FORM)
    tree = hero_of(page).get_by_role("tree")
    tree.get_by_role("treeitem", name=re.compile("^Peak:")).focus()
    page.keyboard.press("ArrowDown")
    expect(tree.get_by_role("treeitem", name=re.compile("^Model"))).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(tree.locator(":focus")).to_have_attribute("aria-label", re.compile(r"% of the peak; "))
    expect(tree.get_by_role("treeitem", name=re.compile("^Fragmentation"))).to_have_count(0)
    page.keyboard.press("Escape")
    expect(tree.get_by_role("treeitem", name=re.compile("^CUDA context"))).to_have_count(1)
    hero_of(page).get_by_text("Table", exact=True).click()
    table = hero_of(page).get_by_role("table", name="Memory of the peak by module")
    expect(table.get_by_role("row", name=re.compile("^layer3 "))).to_be_visible()


def test_what_was_tried_on_a_run_leads_to_the_form(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.ids['sized']}?tab=memory")
    hero = hero_of(page)
    expect(hero).to_contain_text("Likely peak at batch 8", timeout=PREDICTION_MILLISECONDS)
    thumb(page).press("ArrowRight")
    hero.get_by_role("link", name="Run again with these").click()
    expect(page.get_by_role("heading", name="Run again with changes")).to_be_visible()
    expect(page.get_by_label("Batch size", exact=True)).to_have_value("16")


@pytest.mark.parametrize("device", SIZES)
def test_out_of_memory_answer_has_its_buttons_and_clips_no_text(
    open_context: Opener, scene: Scene, device: str
) -> None:
    page = open_context(device=device).new_page()
    complaints = listen(page)
    page.route(f"**/v1/jobs/{scene.ids['out_of_memory']}", _with_edits)
    page.goto(f"/jobs/{scene.ids['out_of_memory']}")
    answer = page.get_by_role("region", name="How to make it fit")
    expect(answer.get_by_role("link", name="Batch size 433")).to_be_visible()
    expect(answer.get_by_role("link", name=re.compile("gradient accumulation steps 12"))).to_be_visible()
    expect(answer).to_contain_text(LONG)
    assert answer.evaluate(CLIPPED) == []
    look_light_and_dark(page, device, "job-out-of-memory")
    page.emulate_media(color_scheme="light")
    page.goto(FORM)
    hero_of(page).get_by_label("Exact images per batch").fill("4096")
    expect(hero_of(page)).to_contain_text("Likely peak at batch 4,096", timeout=PREDICTION_MILLISECONDS)
    assert page.locator("main").evaluate(CLIPPED) == []
    look_light_and_dark(page, device, "submit-memory")
    assert complaints == []
    page.close()


def test_run_that_no_gpu_can_hold_has_the_changes_of_its_estimate(page: Page, scene: Scene) -> None:
    job_id, estimate_id = scene.ids["out_of_memory"], "01a22de5-97aa-7cb3-9396-357502ece1e8"

    def refused(route: Route) -> None:
        answer = route.fetch()
        estimate = {"id": estimate_id, "url": f"/v1/estimates/{estimate_id}", "state": "ready"}
        changed = {"cause": "cannot_fit", "failure": None, "estimate": estimate | {"peak_device_bytes": None}}
        route.fulfill(response=answer, json=answer.json() | changed)

    small, large = {"total_bytes": 2**33, "edits": []}, {"total_bytes": 2**34, "edits": edits({"batch_size": 83})}
    page.route(f"**/v1/jobs/{job_id}", refused)
    page.route(f"**/v1/estimates/{estimate_id}", lambda route: route.fulfill(json={"gpus": [small, large]}))
    page.goto(f"/jobs/{job_id}")
    answer = page.get_by_role("region", name="How to make it fit")
    expect(answer.get_by_role("link", name="Batch size 83")).to_have_attribute(
        "href", re.compile(f"{job_id}.*batch_size.*83")
    )


def edits(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    size = {"low_bytes": 2**33, "likely_bytes": 2**33, "high_bytes": 2**33}
    return [{"change": change, "reason": LONG, "peak_device_bytes": size, "fits": True} for change in changes]


def _with_edits(route: Route) -> None:
    answer = route.fetch()
    job: dict[str, Any] = answer.json()
    changes = (
        {"batch_size": 433},
        {"batch_size": 342, "gradient_accumulation_steps": 12},
        {"model": "shufflenet_v2_x0_5", "precision": "bfloat16", "checkpointing": True, "optimizer": "sgd_momentum"},
    )
    failure = job["failure"] | {"edits": edits(*changes), "reasons": {}}
    route.fulfill(response=answer, json=job | {"failure": failure})
