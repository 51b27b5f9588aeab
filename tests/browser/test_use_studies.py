"""Studies in use: a grid of one's own seen before it starts, more seeds, stopping it and going on."""

import re

from playwright.sync_api import Page, expect

from tests.browser.scene import Scene


def test_grid_shows_its_runs_and_memory_before_it_starts(page: Page, scene: Scene) -> None:
    page.goto("/studies/new?kind=grid&experiment=probe-gpu")
    first = page.get_by_role("group", name="Field 1")
    first.get_by_role("combobox", name="Field").fill("Batch size")
    page.get_by_role("option", name="Batch size").click()
    values = first.get_by_role("combobox", name="Values")
    values.press_sequentially("8,0,")
    runs = page.get_by_role("region", name="Runs")
    expect(runs.get_by_text(re.compile("Batch size must be at least 1"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Start"))).to_be_disabled()
    values.press("Backspace")
    values.press_sequentially("16,")
    page.get_by_label("Seeds").fill("3")
    expect(runs.get_by_text("2 of batch size × 3 seeds")).to_be_visible()
    expect(runs.get_by_role("row", name=re.compile("^16 .*(MiB|GiB)"))).to_be_visible()
    page.get_by_label("Name", exact=True).fill("two batches")
    with scene.drained():
        page.get_by_role("button", name="Start 6 runs").click()
        expect(page.get_by_role("heading", name="two batches")).to_be_visible()
        study = scene.client.get(f"/v1/studies/{page.url.rpartition('/')[2]}").json()
        assert study["runs"] == 6
        assert [cell["cell"]["batch_size"] for cell in study["comparison"]] == [8, 16]
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("Cancelled").first).to_be_visible()
    expect(page.get_by_role("button", name="Run failed again")).to_be_visible()


def test_seeds_are_added_to_a_study(page: Page, scene: Scene) -> None:
    page.goto(f"/studies/{scene.ids['grid']}")
    # What one came for stands first; of a single experiment the name says nothing.
    expect(page.get_by_role("columnheader")).to_have_text(["Steps", "Total", "Resumed from", "Runs"])
    page.get_by_role("button", name="Add seeds").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Number of seeds").fill("1")
    expect(dialog.get_by_text("Seed 6 for 2 combinations: up to 2 more runs")).to_be_visible()
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("n 7").first).to_be_visible(timeout=30_000)
    study = scene.client.get(f"/v1/studies/{scene.ids['grid']}").json()
    assert study["seeds"] == [0, 1, 2, 3, 4, 5, 6]
    assert study["runs"] == 14


def test_study_is_shared_with_the_class(page: Page, scene: Scene) -> None:
    page.goto(f"/studies/{scene.ids['study']}")
    page.get_by_role("button", name="Share").click()
    page.get_by_role("menuitem", name="Class").click()
    expect(page.get_by_role("button", name="Shared: class")).to_be_visible()
    assert scene.client.get(f"/v1/studies/{scene.ids['study']}").json()["shared_with"] == "class"


def test_charts_and_table_of_a_study_mark_and_select_the_same_runs(page: Page, scene: Scene) -> None:
    page.goto(f"/studies/{scene.ids['grid']}?tab=charts")
    runs = page.get_by_role("region", name="Runs")
    expect(runs.get_by_role("status")).to_have_text(re.compile("^All"))
    expect(page.get_by_role("table", name=re.compile("^Share of the variance"))).to_contain_text("Steps")
    page.get_by_role("switch", name="As tables").check(force=True)
    expect(page.get_by_role("table", name=re.compile("against Steps"))).to_contain_text("95 % interval")
    parallel = page.get_by_role("region", name="Parallel coordinates")
    # By keyboard alone: the filter of an axis.
    parallel.get_by_role("button", name="Filter Steps").press("Enter")
    page.get_by_role("checkbox").first.press("Space")
    page.keyboard.press("Escape")
    expect(runs.get_by_role("status")).to_have_text(re.compile("selected$"))
    left = runs.get_by_role("row").count()
    runs.get_by_role("link", name=re.compile("^Run with seed")).first.focus()
    expect(parallel.get_by_text(re.compile("^Seed .*steps"))).to_be_visible()
    runs.get_by_role("button", name="Show all").first.click()
    expect(runs.get_by_role("status")).to_have_text(re.compile("^All"))
    assert runs.get_by_role("row").count() > left
