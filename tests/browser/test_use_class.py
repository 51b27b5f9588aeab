"""The class in use: letting it in from a table, setting work, handing in, sharing, and the tokens of each."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener, listen
from tests.browser.scene import Scene
from tests.browser.test_pages import look


@pytest.fixture
def student(open_context: Opener, scene: Scene) -> Iterator[Page]:
    """A page of a student, Ada, who is in a team."""
    context = open_context(signed_in=False)
    answer = context.request.post("/v1/session", data={"token": scene.ids["student_token"]})
    assert answer.ok, answer.text()
    made = context.new_page()
    complaints = listen(made)
    yield made
    made.close()
    assert complaints == []


def test_class_is_imported_after_a_look_at_what_would_change(page: Page) -> None:
    page.goto("/class")
    page.get_by_role("button", name="Import a class").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Or paste the table").fill(
        "name,email,section\nChen Wei,chen@example.org,B\nFatima Zahra,fatima@example.org,B\n"
    )
    dialog.get_by_role("button", name="Preview changes").click()
    expect(dialog.get_by_role("row", name=re.compile("Chen Wei"))).to_contain_text("section: A → B")
    expect(dialog.get_by_role("row", name=re.compile("Fatima Zahra"))).to_contain_text("added, with a token")
    expect(dialog.get_by_text("They stay as they are")).to_contain_text("Bo Lindqvist")
    assert page.request.get("/v1/users?text=fatima").json()["items"] == [], "a preview adds nobody"
    dialog.get_by_role("button", name="Import 2").click()
    with page.expect_download() as saved:
        dialog.get_by_role("button", name="Save tokens.csv").click()
    heading, *people = saved.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert heading == "name,email,token"
    assert [line.rpartition(",")[0] for line in people] == ["Fatima Zahra,fatima@example.org"]
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    expect(page.get_by_role("link", name="Fatima Zahra")).to_be_visible()


def test_file_of_any_encoding_is_read_by_the_lab(page: Page, tmp_path: Path) -> None:
    page.goto("/class")
    page.get_by_role("button", name="Import a class").click()
    dialog = page.get_by_role("dialog")
    table = tmp_path / "class.csv"
    table.write_bytes("Surname;First name;Email address;Department\nNúñez;José;jose@example.org;EE\n".encode("cp1252"))
    dialog.locator("input[type=file]").set_input_files(table)
    dialog.get_by_role("button", name="Preview changes").click()
    expect(dialog.get_by_role("row", name=re.compile("José Núñez"))).to_contain_text("added, with a token")
    expect(dialog.get_by_text("Windows-1252")).to_be_visible()
    expect(dialog.get_by_text("Ignored 1 column: Department.")).to_be_visible()


def test_mistake_in_the_table_is_named_with_its_line(page: Page) -> None:
    page.goto("/class")
    page.get_by_role("button", name="Import a class").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Or paste the table").fill("name,email\nNobody,not an address\n")
    dialog.get_by_role("button", name="Preview changes").click()
    expect(dialog.get_by_role("alert")).to_contain_text("2")


def test_assignment_is_set_and_changed(page: Page, scene: Scene) -> None:
    page.goto("/class?tab=assignments")
    page.get_by_role("button", name="New assignment").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Homework 2")
    dialog.get_by_label("Deadline").fill("2030-01-31T23:59")
    dialog.get_by_role("combobox", name="Questions").fill("Inductive bias")
    page.get_by_role("option", name="4. Inductive bias").click()
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_text(re.compile("Due 31 Jan 2030, 23:59.* course/4"))).to_be_visible()
    page.get_by_role("button", name="Edit", exact=True).click()
    dialog.get_by_label("Name").fill("Homework 2, bands")
    dialog.get_by_label("Deadline").fill("2030-02-28T12:00")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text(re.compile("Due 28 Feb 2030, 12:00"))).to_be_visible()
    items = scene.client.get("/v1/assignments").json()["items"]
    made = next(item for item in items if item["name"] == "Homework 2, bands")
    assert made["deadline"] == "2030-02-28T11:00:00Z", "typed in Berlin, kept as an instant"


def test_assignment_gets_a_starter_and_a_hidden_check(page: Page, student: Page, scene: Scene, tmp_path: Path) -> None:
    made = scene.client.get("/v1/assignments").json()["items"][-1]["id"]
    try:
        page.goto(f"/class?tab=assignments&assignment={made}")
        page.get_by_role("button", name="Programs").click()
        dialog = page.get_by_role("dialog")
        starter, check = dialog.get_by_role("region", name="Starter"), dialog.get_by_role("region", name="Hidden check")
        for part, file, action in ((starter, "begin.py", "Save the starter"), (check, "points.py", "Save the check")):
            (tmp_path / file).write_text(f"print('{file}')\n")
            part.get_by_label("Files", exact=True).set_input_files(tmp_path / file)
            expect(part.get_by_label("Command")).to_have_value(f"python {file}")
            if part is check:
                part.get_by_label("Points").fill("12.5")
            part.get_by_role("button", name=action).click()
            expect(part.get_by_role("link", name=file)).to_be_visible()
        expect(check).to_contain_text("up to 12.5 points, at most 10 min for each run")
        look(page, "light-desktop", "class-programs")
        student.goto(f"/assignments?assignment={made}")
        expect(student.get_by_role("link", name="Open")).to_be_visible()
        assert "points.py" not in student.get_by_role("main").inner_text()
        check.get_by_role("button", name="Replace").click()
        check.get_by_role("button", name="Keep it").click()
        check.get_by_role("button", name="Remove").click()
        expect(check.get_by_role("button", name="Choose files")).to_be_visible()
        assert scene.client.get(f"/v1/assignments/{made}").json()["hidden_check"] is None
    finally:
        scene.client.patch(f"/v1/assignments/{made}", json={"starter": None, "hidden_check": None}).raise_for_status()


def test_button_that_waits_for_a_field_says_for_which(page: Page, scene: Scene) -> None:
    page.goto("/class?tab=assignments")
    page.get_by_role("button", name="Extensions").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Extend")).to_have_accessible_description("Choose a student.")
    page.goto("/class?tab=grades")
    page.get_by_role("button", name="Grade Ada Okafor").click()
    save = dialog.get_by_role("button", name="Save")
    expect(save).to_have_accessible_description("Enter points, a rubric line or a comment.")
    dialog.get_by_label("Points").fill("3")
    expect(save).to_be_enabled()
    expect(save).to_have_accessible_description("")


def test_address_that_leads_nowhere_keeps_the_navigation(page: Page) -> None:
    page.goto("/no/such/page")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()


def test_limits_of_somebody_are_changed(page: Page) -> None:
    page.goto("/class")
    page.get_by_role("button", name="Actions for Diego Ruiz").click()
    page.get_by_role("menuitem", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Running jobs").fill("3")
    dialog.get_by_role("button", name="Save").click()
    expect(
        page.get_by_role("row", name=re.compile("Diego Ruiz")).get_by_role("cell", name="3", exact=True)
    ).to_be_visible()


def test_run_is_handed_in_in_the_place_of_the_one_before(student: Page, scene: Scene) -> None:
    body = {"experiment": "probe", "spec": {"steps": 2}, "name": "better"}
    csrf = next(cookie["value"] for cookie in student.context.cookies() if cookie["name"].startswith("gpulab_csrf_"))
    made = student.request.post("/v1/jobs", data=body, headers={"X-CSRF-Token": csrf}).json()["id"]
    scene.wait_for(made, "succeeded")
    student.goto(f"/jobs/{made}")
    student.get_by_role("button", name="Hand in").click()
    dialog = student.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Assignment").click()
    student.get_by_role("option", name="Homework 1").click()
    expect(dialog.get_by_text("This run will replace it")).to_be_visible()
    dialog.get_by_role("button", name="Hand in").click()
    expect(student.get_by_role("alert").filter(has_text=re.compile(r"Handed in\."))).to_be_visible()
    kept = student.request.get(f"/v1/assignments/{scene.ids['assignment']}/submission").json()
    assert kept["job_id"] == made


def test_student_sees_what_is_due_and_hands_in_from_there(student: Page, scene: Scene) -> None:
    student.goto("/")
    student.get_by_role("link", name="Assignments").click()
    homework = student.get_by_role("region", name="Homework 1")
    expect(homework).to_contain_text(re.compile(r"Due in [56] days, .*Hand in one run of question 1b\.", re.DOTALL))
    expect(homework.get_by_role("row", name=re.compile("^1b"))).to_contain_text("No runs yet")
    expect(homework.get_by_role("row", name=re.compile("^Probe"))).to_contain_text("Succeeded")
    expect(homework).to_contain_text("handed in on")
    homework.get_by_role("combobox").click()
    student.get_by_role("option", name=re.compile("^first try")).click()
    button = homework.get_by_role("button", name=re.compile("^Hand(ed)? in$"))
    if button.is_enabled():
        button.click()
    expect(button).to_be_disabled()
    kept = student.request.get(f"/v1/assignments/{scene.ids['assignment']}/submission").json()
    assert kept["job_id"] == scene.ids["handed_in"]
    homework.get_by_role("link", name=re.compile("^1b")).click()
    expect(student.get_by_role("combobox", name="Question")).to_have_value(re.compile("^1b"))


def test_run_is_shared_with_the_team_and_taken_back(student: Page, scene: Scene, open_context: Opener) -> None:
    student.goto(f"/jobs/{scene.ids['handed_in']}")
    student.get_by_role("button", name="Share").click()
    student.get_by_role("menuitem", name="Team").click()
    shared = student.get_by_role("button", name="Shared: team")
    expect(shared).to_be_visible()
    assert scene.job(scene.ids["handed_in"])["shared_with"] == "team"
    shared.click()
    student.get_by_role("menuitem", name="Only you and staff").click()
    expect(student.get_by_role("button", name="Share", exact=True)).to_be_visible()
    assert scene.job(scene.ids["handed_in"])["shared_with"] is None


def test_token_is_made_shown_once_used_and_revoked(student: Page, open_context: Opener) -> None:
    student.goto("/")
    student.get_by_role("button", name="Ada Okafor").click()
    student.get_by_role("menuitem", name="Account and tokens").click()
    student.get_by_role("button", name="New token").click()
    dialog = student.get_by_role("dialog")
    dialog.get_by_label("Name").fill("laptop")
    dialog.get_by_role("button", name="Create").click()
    token = dialog.get_by_text(re.compile("^glab_")).inner_text().strip()
    dialog.get_by_role("button", name="Done").click()
    expect(student.get_by_text(token)).to_have_count(0)
    laptop = open_context(signed_in=False).request
    assert laptop.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).json()["name"] == "Ada Okafor"
    student.get_by_role("button", name="Revoke laptop").click()
    dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(student.get_by_role("row", name=re.compile("laptop"))).to_contain_text("Revoked")
    assert laptop.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).status == 401


def test_lab_hours_are_set_shown_to_the_class_and_cancelled(page: Page, student: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Keep GPUs free").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Lab of section A")
    dialog.get_by_label("Section").fill("A")
    dialog.get_by_label("Start").fill("2031-01-06T10:00")
    dialog.get_by_label("End").fill("2031-01-06T12:00")
    dialog.get_by_label("Until").fill("2031-03-03")
    dialog.get_by_label("GPUs").fill("3")
    dialog.get_by_role("button", name="Keep free").click()
    expect(dialog.get_by_role("alert")).to_contain_text("the lab has 2 GPUs")
    dialog.get_by_label("GPUs").fill("1")
    dialog.get_by_role("button", name="Keep free").click()
    row = page.get_by_role("row", name=re.compile("Lab of section A"))
    expect(row).to_contain_text("section A")
    expect(row).to_contain_text("Mondays 10:00 to 12:00 until 2031-03-03")
    student.goto("/")
    seen = student.get_by_role("region", name="Lab hours")
    expect(seen).to_contain_text("1 GPU")
    expect(seen.get_by_role("button")).to_have_count(0)
    page.get_by_role("button", name="Cancel Lab of section A").click()
    expect(row).to_have_count(0)


def test_grade_by_hand_reaches_the_student_with_the_release_and_not_before(page: Page, student: Page) -> None:
    page.goto("/class?tab=grades")
    page.get_by_role("combobox", name="Assignment").click()
    page.get_by_role("option", name="Homework 1").click()
    page.get_by_role("button", name="Grade Ada Okafor").click()
    dialog = page.get_by_role("dialog")
    for number, (text, points) in enumerate([("Plots", "2.5"), ("Discussion", "4")], 1):
        dialog.get_by_role("button", name="Rubric line", exact=True).click()
        dialog.get_by_label(f"Rubric line {number}", exact=True).fill(text)
        dialog.get_by_label(f"Points of rubric line {number}").fill(points)
    expect(dialog.get_by_text("6.5 points, the sum of the rubric lines")).to_be_visible()
    dialog.get_by_label("Comment").fill("Label the axes <b>next time</b>.")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name=re.compile("Ada Okafor"))).to_contain_text(
        re.compile("6.5.*By hand", re.DOTALL)
    )

    student.goto("/assignments")
    homework = student.get_by_role("region", name="Homework 1")
    expect(homework).to_be_visible()
    expect(homework.get_by_text("Plots")).to_have_count(0)
    page.get_by_role("switch", name="Released to students").click(force=True)
    expect(dialog.get_by_text(re.compile(r"^\d+ students? of \d+ with points$"))).to_be_visible()
    expect(dialog.get_by_text(re.compile(r"^\d+ handed in nothing$"))).to_be_visible()
    dialog.get_by_role("button", name="Release").click()
    expect(page.get_by_text(re.compile("^Since "))).to_be_visible()
    student.reload()
    expect(homework.get_by_role("row", name=re.compile("Plots"))).to_contain_text("2.5")
    expect(homework.get_by_text("Label the axes <b>next time</b>.")).to_be_visible()

    page.get_by_role("switch", name="Released to students").click(force=True)
    expect(page.get_by_text("Each student sees only their own grade")).to_be_visible()
    student.reload()
    expect(homework).to_be_visible()
    expect(homework.get_by_text("Plots")).to_have_count(0)


def test_banner_is_on_every_page_until_it_is_dismissed_or_ended(page: Page, student: Page) -> None:
    page.goto("/class?tab=banners")
    page.get_by_role("button", name="New banner").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Text").fill("Room 12 today: https://example.org/room <b>bold</b>")
    dialog.get_by_label("Until").fill("2031-01-06T10:00")
    dialog.get_by_role("button", name="Show").click()
    row = page.get_by_role("row", name=re.compile("Room 12"))
    expect(row).to_be_visible()

    student.goto("/jobs")
    shown = student.get_by_role("status").filter(has_text="Room 12 today")
    expect(shown).to_contain_text("<b>bold</b>")
    expect(shown.get_by_role("link")).to_have_attribute("href", "https://example.org/room")
    shown.get_by_role("button", name="Dismiss").click()
    expect(shown).to_have_count(0)
    student.goto("/assignments")
    expect(student.get_by_role("heading", name="Assignments")).to_be_visible()
    expect(shown).to_have_count(0)

    row.get_by_role("button", name="End").click()
    expect(row).to_have_count(0)
