"""The dashboard in use: signing in, following a job, finding, comparing, and a lab that goes away."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener
from tests.browser.scene import Scene

FIRST_LOAD_BYTES = 300_000


def test_token_is_refused_in_words_and_taken_when_it_is_good(open_context: Opener, scene: Scene) -> None:
    page = open_context(signed_in=False).new_page()
    page.goto(f"/jobs/{scene.ids['trained']}")
    expect(page).to_have_url(re.compile("/sign-in"))
    page.get_by_label("Token", exact=True).fill("glab_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("token is not valid")
    page.get_by_label("Token", exact=True).fill(scene.token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="bands, few images")).to_be_visible()
    page.get_by_role("button", name="admin").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.close()


def test_running_job_is_followed_without_a_reload(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.ids['running']}")
    expect(page.get_by_text("step 260").first).to_be_visible()
    scene.go_on(280)
    expect(page.get_by_text("step 280").first).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Chart of Step .* to 280"))).to_be_visible()


def test_jobs_are_found_by_name_and_state(page: Page) -> None:
    page.goto("/jobs")
    expect(page.get_by_role("link", name="first try")).to_be_visible()
    page.get_by_label("Search").fill("bands")
    expect(page.get_by_role("link", name="first try")).to_have_count(0)
    expect(page.get_by_role("link", name="bands, few images")).to_be_visible()
    expect(page).to_have_url(re.compile("text=bands"))
    page.goto('/jobs?state=["failed"]')
    expect(page.get_by_text("Failed: diverged")).to_be_visible()
    expect(page.get_by_role("link", name="bands, few images")).to_have_count(0)


def test_jobs_are_sorted_by_a_column(page: Page) -> None:
    page.goto("/jobs")
    page.get_by_role("button", name="Name").click()
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    expect(page).to_have_url(re.compile("sort="))
    expect(page.locator(".jobs .row .name a").first).to_have_text("a slip in the code")
    page.get_by_role("button", name="Name").click()
    expect(page.locator(".jobs .row .name a").first).not_to_have_text("a slip in the code")


def test_chosen_columns_are_sorted_by_the_lab_and_stay_in_the_link(page: Page) -> None:
    page.goto('/jobs?text=bands&columns=["spec.images_per_class","metric.train_accuracy.curve"]')
    few, more = (
        page.get_by_role("row", name=re.compile("bands, few")),
        page.get_by_role("row", name=re.compile("more images")),
    )
    expect(few).to_contain_text("20")
    expect(more).to_contain_text("50")
    expect(few.get_by_role("img")).to_be_visible()
    page.get_by_role("button", name="Images per class").click()
    expect(page).to_have_url(re.compile("sort=.*images_per_class"))
    expect(page.locator(".jobs .row .name a").first).to_have_text("bands, few images")


def test_jobs_are_grouped_with_mean_and_count(page: Page) -> None:
    page.goto('/jobs?text=bands&by=["spec.images_per_class"]&columns=["seconds"]')
    row = page.get_by_role("row", name=re.compile("^50"))
    row.get_by_role("link").click()
    expect(page.get_by_role("link", name="bands, more images")).to_be_visible()
    expect(page.get_by_role("link", name="bands, few images")).to_have_count(0)


def test_job_is_renamed_in_the_table(page: Page) -> None:
    page.goto("/jobs?text=ridge by dropout")
    page.get_by_role("button", name="Edit ridge by dropout").click()
    page.get_by_role("combobox", name="Tags").fill("kept")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("#kept")).to_be_visible()


def test_chosen_jobs_are_compared(page: Page) -> None:
    page.goto("/jobs?text=bands")
    page.get_by_role("checkbox", name=re.compile("Select bands, few")).check()
    page.get_by_role("checkbox", name=re.compile("Select bands, more")).check()
    page.get_by_role("link", name="Compare 2").click()
    row = page.get_by_role("row", name=re.compile("^Images per class"))
    expect(row).to_contain_text("20")
    expect(row).to_contain_text("50")
    with page.expect_download() as saved:
        page.get_by_role("button", name=re.compile("^Save Train accuracy as CSV")).click()
    assert saved.value.path().read_text().startswith("step,")


def test_chart_zooms_and_shows_all_again(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.ids['trained']}")
    chart = page.locator(".chart .u-over").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 50, steps=4)
    page.mouse.up()
    everything = page.get_by_role("button", name=re.compile("^Reset zoom of"))
    expect(everything).to_be_visible()
    everything.click()
    expect(everything).to_have_count(0)


def test_pages_are_reached_and_used_with_the_keyboard(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Lab", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.get_by_role("link", name="Jobs", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()


def test_chosen_theme_stays(open_context: Opener) -> None:
    page = open_context("light").new_page()
    page.goto("/")
    page.get_by_role("button", name="Switch to dark colours").click()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.close()


def test_times_are_in_the_zone_of_the_reader(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.ids['trained']}?tab=history")
    expect(page.get_by_text(re.compile("CES?T|GMT[+]")).first).to_be_visible()


def test_form_is_checked_judged_and_submitted(page: Page) -> None:
    page.goto("/submit?experiment=train-classifier")
    batch = page.get_by_label("Batch size")
    expect(page.get_by_text("A torchvision classification model with random weights.")).to_be_visible()
    expect(page.get_by_text("likely peak on the device")).to_be_visible()
    batch.fill("0")
    expect(page.get_by_text("1 field to correct")).to_be_visible()
    expect(page.get_by_text("Batch size must be at least 1.").first).to_be_visible()
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()
    batch.fill("16")
    expect(page.get_by_text("1 field to correct")).to_have_count(0)
    page.get_by_label("Epochs", exact=True).fill("1")
    page.get_by_label("Name", exact=True).fill("from the form")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="from the form")).to_be_visible()
    page.goto(page.url.partition("?")[0] + "?tab=spec")
    expect(page.locator("dl[aria-label=Spec]")).to_contain_text("16")


def test_job_is_run_again_with_changes(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.ids['trained']}")
    page.get_by_role("link", name="Run again with changes").click()
    expect(page.get_by_label("Images per class", exact=True)).to_have_value("20")
    page.get_by_label("Images per class", exact=True).fill("22")
    page.get_by_label("Name", exact=True).fill("bands, a few more")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="bands, a few more")).to_be_visible()


def test_study_shows_its_report_where_it_can_run_nothing(page: Page, scene: Scene) -> None:
    page.goto(f"/studies/{scene.ids['study']}")
    page.get_by_role("tab", name="Report").click()
    frame = page.frame_locator("iframe[title='Study report']")
    expect(frame.get_by_role("heading", level=1)).to_be_visible(timeout=30_000)
    assert page.locator("iframe[title='Study report']").get_attribute("sandbox") == ""


def test_machine_is_drained_and_returned_to_service(page: Page) -> None:
    page.goto("/nodes")
    page.get_by_role("button", name="Drain").click()
    page.get_by_label("Reason").fill("a new fan")
    page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    expect(page.get_by_text("a new fan").first).to_be_visible()
    page.get_by_role("button", name="Return to service").click()
    expect(page.get_by_role("button", name="Drain")).to_be_visible()


def test_added_user_signs_in_and_sees_no_pages_of_staff(page: Page, open_context: Opener) -> None:
    page.goto("/class")
    page.get_by_role("button", name="Add user").click()
    page.get_by_role("dialog").get_by_label("Name").fill("robin")
    page.get_by_role("button", name="Add", exact=True).click()
    token = page.get_by_role("dialog").get_by_text(re.compile("^glab_")).inner_text().strip()
    theirs = open_context(signed_in=False).new_page()
    theirs.goto("/sign-in")
    theirs.get_by_label("Token", exact=True).fill(token)
    theirs.get_by_role("button", name="Sign in").click()
    expect(theirs.get_by_role("heading", name="Lab", level=1)).to_be_visible()
    expect(theirs.get_by_role("link", name="Jobs", exact=True)).to_be_visible()
    expect(theirs.get_by_role("link", name="Class", exact=True)).to_have_count(0)
    theirs.goto("/jobs")
    expect(theirs.get_by_text("You have no jobs yet")).to_be_visible()
    theirs.close()


def test_job_is_cancelled(page: Page, scene: Scene) -> None:
    page.goto(f"/jobs/{scene.ids['waiting_2']}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled").first).to_be_visible()


@pytest.mark.parametrize("address", ["/", "/jobs", "/compare"])
def test_no_request_leaves_the_lab(open_context: Opener, scene: Scene, address: str) -> None:
    context = open_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    elsewhere = [url for url in asked if not url.startswith((scene.url, "blob:", "data:"))]
    assert asked
    assert elsewhere == []
    page.close()


def test_first_load_is_small(open_context: Opener) -> None:
    page = open_context().new_page()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto("/")
    expect(page.get_by_role("heading", name="Lab", level=1)).to_be_visible()
    page.wait_for_load_state("load")
    assert 50_000 < sum(sizes) < FIRST_LOAD_BYTES
    page.close()


def test_lab_that_goes_away_and_comes_back(open_context: Opener, scene: Scene) -> None:
    page = open_context().new_page()
    page.goto(f"/jobs/{scene.ids['running']}")
    expect(page.get_by_text("step 280").first).to_be_visible()
    scene.kill("api")
    expect(page.get_by_text("The lab does not answer")).to_be_visible()
    expect(page.get_by_text("step 280").first).to_be_visible()
    scene.go_on(300)
    scene.start("api")
    expect(page.get_by_text("The lab does not answer")).to_have_count(0, timeout=30_000)
    expect(page.get_by_text("step 300").first).to_be_visible()
    page.close()
