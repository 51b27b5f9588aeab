"""The main ways through the dashboard in Firefox: signing in, a run as it goes, own code, the class, small and dark."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.firefox import Firefox
from tests.browser.scene import Scene
from tests.lab import wait_until

# Marionette's client leaves the socket open by which it saw that Firefox listens.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

PAGES = {
    "/": "Lab",
    "/jobs": "Jobs",
    "/submit": "Submit",
    "/programs": "Your code",
    "/studies": "Studies",
    "/assignments": "Assignments",
    "/predictions": "Predictions",
    "/class": "Class",
    "/nodes": "Machines",
    "/account": "Your account",
}


@pytest.fixture(scope="module")
def started(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    if not (shutil.which("firefox-esr") or shutil.which("firefox")):
        pytest.skip("needs Firefox: apt-get install firefox-esr")
    made = Firefox(tmp_path_factory.mktemp("firefox"), scene.url)
    yield made
    made.close()


@pytest.fixture
def firefox(started: Firefox, scene: Scene) -> Iterator[Firefox]:
    """Signed in; what pages complain of fails the test."""
    before = len(started.complaints())
    started.sign_in(scene.token)
    yield started
    started.close_other_tabs()
    assert started.complaints()[before:] == []


def test_token_signs_in(firefox: Firefox, scene: Scene) -> None:
    firefox.driver.delete_all_cookies()
    firefox.goto("/nodes", lands="/sign-in")
    firefox.fill("input", scene.token)
    firefox.click("button", "Sign in")
    firefox.find("h1", "Machines")


def test_run_is_followed_in_two_tabs_and_signing_out_reaches_both(firefox: Firefox, scene: Scene) -> None:
    firefox.goto(f"/jobs/{scene.ids['running']}")
    firefox.find("main", "step ")
    second = firefox.open_tab(f"/jobs/{scene.ids['running']}")
    firefox.find("main", "step ")
    scene.go_on(315)
    for handle in (second, firefox.driver.window_handles[0]):
        firefox.driver.switch_to_window(handle)
        firefox.find("main", "step 315")
        firefox.find(".chart canvas")
    firefox.click("header button", "admin")
    firefox.click("[role=menuitem]", "Sign out")
    firefox.find("button", "Sign in")
    firefox.driver.switch_to_window(second)
    firefox.find("button", "Sign in")


def test_experiment_is_submitted_and_seen_to_its_end(firefox: Firefox) -> None:
    firefox.goto("/submit?experiment=dropout-linear")
    firefox.click("button[type=submit]", "Submit")
    firefox.find("main", "Succeeded")
    firefox.find("h2, h3", "Result")


def test_program_is_uploaded_and_run(firefox: Firefox, scene: Scene, tmp_path: Path) -> None:
    script = tmp_path / "fox.py"
    script.write_text("print('a run from Firefox')\n")
    firefox.goto("/programs")
    firefox.find("button", "Choose files")
    firefox.choose_files("input[type=file]", script)
    firefox.find("h1", "fox.py")
    firefox.click("button[type=submit]", "Run")
    job_id = wait_until(
        lambda: firefox.evaluate("return location.pathname.match('/jobs/([0-9a-f-]{36})$')?.[1] ?? null"),
        timeout_seconds=20,
        what="the page of the run",
    )
    job = scene.client.get(f"/v1/jobs/{job_id}").raise_for_status().json()
    assert (job["spec"]["command"], job["name"]) == (["python", "fox.py"], "fox.py")


def test_memory_answers_to_the_slider(firefox: Firefox) -> None:
    firefox.goto("/submit?experiment=model-memory")
    before = firefox.find("[role=status]", "Likely peak").text
    firefox.evaluate("document.querySelector('[role=slider]').focus()")
    firefox.find("[role=slider]").send_keys("\ue012\ue012")
    firefox.find("[role=status]", "Likely peak")
    wait_until(
        lambda: firefox.find("[role=status]", "Likely peak").text != before, timeout_seconds=20, what="another answer"
    )


def test_deadline_of_the_browsers_own_field_is_read(firefox: Firefox) -> None:
    firefox.goto("/class?tab=assignments")
    firefox.click("button", "New assignment")
    field = firefox.find("[role=dialog] input[type=datetime-local]")
    firefox.evaluate(
        """
        const [field, value] = arguments;
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, value);
        field.dispatchEvent(new Event("input", { bubbles: true }));
        """,
        field,
        "2031-03-31T12:30",
    )
    firefox.find("[role=dialog]", "31 Mar 2031, 12:30")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_fit_a_phone_and_a_desktop(firefox: Firefox, dark: bool) -> None:
    with firefox.driver.using_context("chrome"):
        firefox.driver.set_pref("ui.systemUsesDarkTheme", int(dark))
    for width, height in ((500, 844), (1280, 900)):
        firefox.driver.set_window_rect(width=width, height=height)
        for path, heading in PAGES.items():
            firefox.goto(path)
            firefox.find("h1", heading)
            over = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert firefox.evaluate(over) <= 0, f"{path} is wider than {width} px"
            theme = "return document.documentElement.dataset.mantineColorScheme"
            assert firefox.evaluate(theme) == ("dark" if dark else "light")
