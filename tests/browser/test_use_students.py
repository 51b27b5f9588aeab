"""Who is stuck: the wall and the table of a class, actions on many students, runs of one owner, re-runs, grades."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import SHOTS, SIZES, Opener, listen
from tests.browser.scene import Scene
from tests.browser.test_pages import THEMES, switch_to
from tests.browser.test_use_class import student

__all__ = ["student"]

RUN_MILLISECONDS = 60_000
"""A run of a busy lab from its submission to its end."""
STATES = ("stuck", "not_started", "working", "good_run", "late", "handed_in")


def wall_of(page: Page) -> Locator:
    return page.get_by_role("group", name="Students")


def test_wall_is_walked_by_keys_filtered_and_leads_to_the_runs_of_a_student(page: Page, scene: Scene) -> None:
    page.goto("/class?tab=assignments&view=wall")
    page.get_by_role("combobox", name="Assignment").click()
    page.get_by_role("option", name="Homework 1").click()
    tiles = wall_of(page).get_by_role("link")
    expect(tiles.nth(4)).to_be_visible()
    bo = wall_of(page).get_by_role("link", name=re.compile("^Bo Lindqvist, Stuck, 0 of 1 run succeeded"))
    expect(bo).to_be_visible()
    tiles.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tiles.nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(tiles.last).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tiles.last).to_be_focused()
    page.get_by_text(re.compile(r"^Stuck \d")).click()
    expect(page).to_have_url(re.compile("state=stuck"))
    expect(wall_of(page).get_by_role("link", name=re.compile("^Diego Ruiz"))).to_have_count(0)
    bo.click()
    expect(page.get_by_text("Counts for Homework 1")).to_be_visible()
    owner = page.get_by_role("combobox", name="Owner")
    expect(owner).to_have_value("Bo Lindqvist, bo@example.org")
    jobs = page.get_by_role("table", name="Jobs")
    expect(jobs).to_contain_text("what now")
    expect(jobs).not_to_contain_text("first try")
    page.get_by_text("Before", exact=True).click()
    expect(page.get_by_text("No job matches")).to_be_visible()
    page.get_by_text(re.compile("^Since the assignment")).click()
    page.get_by_role("button", name="Show the runs of everyone").click()
    expect(jobs).to_contain_text("first try")
    owner.fill("okaf")
    page.get_by_role("option", name=re.compile("Ada Okafor")).click()
    expect(jobs).not_to_contain_text("what now")


def test_wall_follows_a_run_without_a_reload(page: Page, scene: Scene) -> None:
    people = scene.client.get("/v1/users?text=esi@example.org").json()["items"]
    order = {"name": "wall", "user_id": people[0]["id"]}
    token = scene.client.post("/v1/tokens", json=order).json()["token"]
    page.goto(f"/class?tab=assignments&view=wall&assignment={scene.ids['assignment']}")
    tile = wall_of(page).get_by_role("link", name=re.compile("^Esi Mensah"))
    expect(tile).to_have_attribute("aria-label", re.compile("Not started, no runs"))
    body = {"experiment": "probe", "spec": {"steps": 2, "ending": "error"}, "name": "no luck"}
    made = scene.client.post("/v1/jobs", json=body, headers={"Authorization": f"Bearer {token}"})
    assert made.status_code == 201, made.text
    expect(tile).to_have_attribute("aria-label", re.compile("Stuck, 0 of 1 run"), timeout=RUN_MILLISECONDS)


def test_selected_students_get_more_time_and_a_message(page: Page, student: Page, scene: Scene) -> None:
    page.goto(f"/class?tab=assignments&assignment={scene.ids['assignment']}")
    for name in ("Ada Okafor", "Diego Ruiz"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    actions = page.get_by_role("button", name="Actions for 2 selected")
    actions.click()
    page.get_by_role("menuitem", name="Give more time").click()
    dialog = page.get_by_role("dialog")
    send = dialog.get_by_role("button", name="Extend for 2 students")
    expect(send).to_be_disabled()
    dialog.get_by_label("Deadline").fill("2040-01-31T12:00")
    send.click()
    expect(dialog.get_by_text("2 students have the new deadline.")).to_be_visible()
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    path = f"/v1/assignments/{scene.ids['assignment']}/extensions"
    extended = {one["user"]: one["deadline"] for one in scene.client.get(path).json()["items"]}
    assert extended["Ada Okafor"] == extended["Diego Ruiz"] == "2040-01-31T11:00:00Z"

    actions.click()
    page.get_by_role("menuitem", name="Write a message").click()
    dialog.get_by_label("Message").fill("Office hours are at noon.")
    dialog.get_by_role("button", name="Send to 2 students").click()
    expect(dialog.get_by_text("2 students can read it now.")).to_be_visible()
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    student.goto("/")
    expect(student.get_by_role("status").filter(has_text="Office hours are at noon.")).to_be_visible()

    actions.click()
    page.get_by_role("menuitem", name="Cancel waiting runs").click()
    dialog.get_by_role("button", name="Cancel for 2 students").click()
    expect(dialog.get_by_role("list", name="Students left out")).to_contain_text("Diego Ruiz: has no run that waits")
    dialog.get_by_role("button", name="Close", exact=True).last.click()
    page.get_by_role("button", name="Clear selection").click()
    expect(page.get_by_role("button", name=re.compile(r"Actions for \d+ students"))).to_be_visible()

    page.goto("/class?tab=banners")
    expect(page.get_by_role("status").filter(has_text="Office hours")).to_have_count(0)
    row = page.get_by_role("row", name=re.compile("Office hours"))
    expect(row).to_contain_text("Only for 2 students")
    row.get_by_role("button", name="End").click()
    expect(row).to_have_count(0)


def test_leaderboard_shows_what_was_handed_in(page: Page, scene: Scene) -> None:
    page.goto(f"/class?tab=assignments&assignment={scene.ids['assignment']}")
    page.get_by_role("link", name="Leaderboard").click()
    expect(page.get_by_text("Handed in for Homework 1")).to_be_visible()
    jobs = page.get_by_role("table", name="Jobs")
    expect(jobs.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Remove the filter: Handed in for Homework 1").click()
    expect(jobs).to_contain_text("what now")


def test_submissions_are_run_again_with_their_outcome(page: Page, scene: Scene) -> None:
    page.goto(f"/class?tab=grades&assignment={scene.ids['assignment']}")
    expect(page.get_by_text("1 submission: 1 not run again")).to_be_visible()
    page.get_by_role("button", name="Run all again").click()
    expect(page.get_by_text("1 submission: 1 the same")).to_be_visible(timeout=RUN_MILLISECONDS)
    expect(page.get_by_role("button", name="Run all again")).to_be_disabled()


def test_grades_are_corrected_by_a_table_after_a_look(page: Page, scene: Scene) -> None:
    page.goto(f"/class?tab=grades&assignment={scene.ids['assignment']}")
    page.get_by_role("button", name="Import corrections").click()
    dialog = page.get_by_role("dialog")
    table = dialog.get_by_label("Or paste the table")
    table.fill("email,points\nnobody@example.org,3\n")
    dialog.get_by_role("button", name="Preview changes").click()
    expect(dialog.get_by_role("alert")).to_contain_text("no student of the class has this address")
    table.fill("email,points,comment\nchen@example.org,7.5,Thank you\ndiego@example.org,,\n")
    dialog.get_by_role("button", name="Preview changes").click()
    expect(dialog.get_by_role("row", name=re.compile("Chen Wei"))).to_contain_text("– → 7.5")
    expect(dialog.get_by_text("1 changed, 1 unchanged")).to_be_visible()
    dialog.get_by_role("button", name="Change 1 grade").click()
    expect(dialog).to_have_count(0)
    page.get_by_label("Search").fill("chen")
    expect(page.get_by_role("row", name=re.compile("Ada Okafor"))).to_have_count(0)
    expect(page.get_by_role("row", name=re.compile("Chen Wei"))).to_contain_text("7.5")


def crowd(page: Page, size: int) -> list[dict[str, Any]]:
    """The answers about the students of an assignment are those of a large class; change them, and the page follows."""
    tiles = [
        {
            "user_id": f"00000000-0000-4000-8000-{number:012d}",
            "name": f"{['Ana', 'Bo', 'Chen', 'Dae', 'Emre'][number % 5]} Student-{number}",
            "section": "ABC"[number % 3],
            "team": None,
            "state": STATES[number * len(STATES) // size],
            "runs": number % 7,
            "succeeded": number % 3,
            "unfinished": 0,
        }
        for number in range(size)
    ]

    def answer(route: Route) -> None:
        states: dict[str, int] = {}
        for tile in tiles:
            states[tile["state"]] = states.get(tile["state"], 0) + 1
        body = json.dumps({"states": states, "students": tiles})
        route.fulfill(status=200, content_type="application/json", body=body)

    page.route(re.compile(r"/v1/assignments/[^/]+/students"), answer)
    return tiles


@pytest.mark.parametrize("device", SIZES)
def test_wall_of_three_hundred_draws_only_what_changed(open_context: Opener, scene: Scene, device: str) -> None:
    page = open_context(device=device).new_page()
    complaints = listen(page)
    tiles = crowd(page, 300)
    page.goto(f"/class?tab=assignments&view=wall&assignment={scene.ids['assignment']}")
    shown = wall_of(page).get_by_role("link")
    expect(shown).to_have_count(300)
    page.evaluate("() => document.querySelectorAll('[data-student]').forEach((tile) => (tile.kept = true))")
    SHOTS.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        switch_to(page, theme)
        page.screenshot(path=SHOTS / f"class-wall-300-{theme}-{device}.png", full_page=True)
    tiles[299]["state"] = "late"
    expect(shown.last).to_have_attribute("aria-label", re.compile("Handed in late"))
    kept = page.evaluate("() => [...document.querySelectorAll('[data-student]')].filter((tile) => tile.kept).length")
    assert kept == 300, "a change of one student makes no tile anew"
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "nothing beyond the edge"
    page.close()
    assert complaints == []
