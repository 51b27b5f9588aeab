"""Two courses in use: choosing one for a run, a study, lab hours and a banner. With one course, nothing is chosen."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Request, expect
from sqlalchemy import delete

from models.database import sync_engine
from models.tables.courses import Course, CourseMember
from tests.browser.scene import Scene
from tests.browser.test_use_class import student

__all__ = ["student"]

NAME = "Language (Autumn 2030)"


@pytest.fixture
def language(scene: Scene) -> Iterator[str]:
    """A second course, which Ada hears too; the scene's other tests know of one alone."""
    made = scene.client.post("/v1/courses", json={"name": "Language", "term": "Autumn 2030"}).json()["id"]
    ada = scene.client.get("/v1/users?text=ada@example.org").json()["items"][0]["id"]
    scene.client.put(f"/v1/courses/{made}/members/{ada}", json={"role": "student"}).raise_for_status()
    yield made
    engine = sync_engine(scene.postgres.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(delete(CourseMember).where(CourseMember.course_id == made))
        connection.execute(delete(Course).where(Course.id == made))
    engine.dispose()


def test_student_of_one_course_chooses_none(student: Page) -> None:
    student.goto("/submit?experiment=dropout-linear")
    expect(student.get_by_label("Name", exact=True)).to_be_visible()
    expect(student.get_by_role("combobox", name="Course")).to_have_count(0)


def test_student_of_two_courses_says_for_which_one_a_run_is(student: Page, language: str) -> None:
    def checks_for_it(request: Request) -> bool:
        return "dry_run" in request.url and language in (request.post_data or "")

    student.goto("/submit?experiment=dropout-linear")
    with student.expect_request(checks_for_it):
        student.get_by_role("combobox", name="Course").click()
        student.get_by_role("option", name=NAME).click()
    student.goto("/studies/new")
    student.get_by_role("combobox", name="Course").click()
    expect(student.get_by_role("option", name=NAME)).to_be_visible()
    student.goto("/studies/new?kind=grid&experiment=dropout-linear")
    expect(student.get_by_role("combobox", name="Course")).to_be_visible()
    student.goto("/assignments")
    expect(student.get_by_role("region", name="Homework 1")).to_contain_text("Default course: ")


def test_staff_of_two_courses_look_at_one_at_a_time(page: Page, language: str) -> None:
    page.goto("/class")
    # The newest course comes first.
    course = page.get_by_role("combobox", name="Course")
    expect(course).to_have_value(NAME)
    expect(page.get_by_role("link", name="Ada Okafor")).to_be_visible()
    expect(page.get_by_role("link", name="Bo Lindqvist")).to_have_count(0)
    course.click()
    page.get_by_role("option", name="Default course").click()
    expect(page.get_by_role("link", name="Bo Lindqvist")).to_be_visible()
    page.goto("/class?tab=banners")
    page.get_by_role("button", name="New banner").click()
    expect(page.get_by_role("dialog").get_by_text(f"Otherwise only {NAME} sees it.")).to_be_visible()
    page.goto("/")
    page.get_by_role("button", name="Keep GPUs free").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("combobox", name="Course")).to_have_value(NAME)
    dialog.get_by_role("combobox", name="Course").click()
    page.get_by_role("option", name="Default course").click()
    # The assignments are those of the course.
    dialog.get_by_role("combobox", name="Assignment").click()
    expect(page.get_by_role("option", name="Homework 1")).to_be_visible()


def test_instructor_archives_a_course_and_only_an_admin_opens_it_again(
    page: Page, student: Page, language: str, scene: Scene
) -> None:
    ada = scene.client.get("/v1/users?text=ada@example.org").json()["items"][0]["id"]
    scene.client.put(f"/v1/courses/{language}/members/{ada}", json={"role": "instructor"}).raise_for_status()
    student.goto("/class")
    student.get_by_role("tab", name="Courses").click()
    expect(student.get_by_text("Default course")).to_have_count(0)
    expect(student.get_by_role("button", name="Add course")).to_have_count(0)
    student.get_by_role("button", name=f"Archive {NAME}").click()
    student.get_by_role("dialog").get_by_role("button", name="Archive", exact=True).click()
    expect(student.get_by_text("taught by Ada Okafor")).to_contain_text("archived")
    expect(student.get_by_role("button", name=f"Open {NAME} again")).to_have_count(0)
    page.goto("/class?tab=courses")
    page.get_by_role("button", name=f"Weight of {NAME}").click()
    page.get_by_role("dialog").get_by_label("Weight").fill("2.5")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_text("taught by Ada Okafor")).to_contain_text("weight 2.5")
    page.get_by_role("button", name=f"Open {NAME} again").click()
    expect(page.get_by_role("button", name=f"Archive {NAME}")).to_be_visible()
