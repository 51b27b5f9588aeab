"""A student's own code in the pages: uploaded, edited, compared and run. And finding a page by keys."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, expect

from gpulab.schemas import EstimateRead
from tests.browser.conftest import SHOTS, Opener
from tests.browser.scene import Scene
from tests.browser.test_pages import look
from tests.fakes.nvml import GIB
from tests.predictions import prediction, verdict

NO_ESTIMATE: dict[str, Any] = dict.fromkeys(EstimateRead.model_fields) | {"gpus": [], "gpus_pending": []}


def test_code_is_uploaded_edited_compared_and_run(page: Page, scene: Scene, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("rate = 1\nprint(rate)\n")
    page.goto("/programs")
    page.locator("input[type=file]").first.set_input_files(script)
    expect(page.get_by_role("heading", name="train.py", level=1)).to_be_visible()
    first = page.url
    expect(page.get_by_role("region", name="Content")).to_contain_text("print(rate)")
    look(page, "light-desktop", "program")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Edit train.py").fill("rate = 2\nprint(rate)\n")
    page.get_by_role("button", name="Save as new program").click()
    expect(page).not_to_have_url(first)
    expect(page.get_by_role("region", name="Content")).to_contain_text("rate = 2")
    sha256 = page.url.rpartition("/")[2].partition("?")[0]
    page.goto(f"{first}?compare={sha256}")
    expect(page.get_by_text("1 changed file, 0 unchanged")).to_be_visible()
    expect(page.get_by_label("Changes in train.py")).to_contain_text("+rate = 2")
    look(page, "light-desktop", "program-difference")
    page.goto(f"/programs/{sha256}")
    expect(page.get_by_label("Command")).to_have_value("python train.py")
    page.get_by_role("button", name="Add parameter").click()
    page.get_by_label("Name of parameter 1").fill("lr")
    page.get_by_label("Value of parameter 1").fill("0.1")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}$"))
    job = scene.client.get(f"/v1/jobs/{page.url.rpartition('/')[2]}").json()
    assert job["spec"]["command"] == ["python", "train.py"]
    assert (job["spec"]["program"], job["spec"]["parameters"]) == (sha256, {"lr": 0.1})
    page.get_by_role("tab", name="Program").click()
    expect(page.get_by_role("region", name="Content")).to_contain_text("rate = 2")
    page.screenshot(path=SHOTS / "light-desktop" / "job-program.png", full_page=True)
    page.get_by_role("link", name="Change and run again").click()
    expect(page.get_by_label("Value of parameter 1")).to_have_value("0.1")
    spec = job["spec"] | {"program": first.rpartition("/")[2].partition("?")[0]}
    other = scene.client.post("/v1/jobs", json={"experiment": "script", "spec": spec}).json()["id"]
    page.goto(f'/compare?jobs=["{job["id"]}","{other}"]')
    page.get_by_role("link", name="Code differs: 1 file").click()
    expect(page.get_by_label("Changes in train.py")).to_contain_text("-rate = 2")


def test_notebook_is_shown_and_nothing_of_it_runs(open_context: Opener, tmp_path: Path) -> None:
    html = "<b>bold</b><script>parent.document.title = 'taken over'</script><img src=x onerror='parent.x = 1'>"
    output = {"output_type": "display_data", "data": {"text/html": html}}
    cell = {"cell_type": "code", "source": "1 + 1", "execution_count": 1, "outputs": [output]}
    notebook = tmp_path / "lesson.ipynb"
    notebook.write_text(json.dumps({"cells": [cell], "nbformat": 4}))
    # A page of its own: the browser notes each script that it refuses.
    page = open_context().new_page()
    page.goto("/programs")
    page.locator("input[type=file]").first.set_input_files(notebook)
    expect(page.frame_locator("iframe[title='Output 1 of cell 1']").get_by_text("bold")).to_be_visible()
    assert page.locator("iframe").get_attribute("sandbox") == ""
    assert page.title() != "taken over"
    assert page.evaluate("'x' in window") is False
    page.screenshot(path=SHOTS / "light-desktop" / "program-notebook.png", full_page=True)
    page.close()


def test_packages_that_a_program_can_import_are_found(page: Page) -> None:
    packages = [{"name": f"package-{n}", "version": f"1.{n}"} for n in range(120)] + [{"name": "NumPy", "version": "2"}]
    items = [
        {"python": "3.11.7", "nodes": ["gpu-1", "gpu-2"], "packages": packages},
        {"python": "3.12.1", "nodes": ["cpu"], "packages": packages[:1]},
    ]
    page.route("**/v1/environment", lambda route: route.fulfill(json={"items": items}))
    page.goto("/programs")
    here = page.get_by_role("region", name="Python 3.11.7 on gpu-1, gpu-2")
    expect(here.get_by_role("listitem")).to_have_count(121)
    look(page, "light-desktop", "packages")
    page.get_by_label("Find a package").fill("numpy ")
    expect(here.get_by_role("listitem")).to_have_text(["NumPy 2"])
    expect(page.get_by_text("No package has “numpy” in its name.")).to_be_visible()


def test_a_page_is_found_by_keys(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Lab", level=1)).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to").fill("few images")
    expect(page.get_by_role("option").first).to_contain_text("bands, few images")
    page.screenshot(path=SHOTS / "light-desktop" / "palette.png")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="bands, few images")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Studies", level=1)).to_be_visible()


def test_memory_of_a_program_is_predicted_before_it_runs(page: Page, tmp_path: Path) -> None:
    peak = {"low_bytes": 9 * GIB, "likely_bytes": 10 * GIB, "high_bytes": 11 * GIB}
    own = {"claimed_by_program": True, "parts": None, "peak_phase": None, "reasons": {"parts": "why"}}
    judged = verdict(peak, **own | {"certain": False, "in_lab": True, "max_batch_size": None, "reason": None})
    judged["max_batch_size_without_retries"] = None
    predicted = {**prediction(peak, **own), "state": "ready", "reason": None, "assumptions": ["data are random"]}
    fits = NO_ESTIMATE | {**predicted, "gpus": [judged]}
    too_large = {**fits, "gpus": [{**judged, "verdict": "cannot_fit"}]}
    failed = NO_ESTIMATE | {"state": "failed", "reason": "the program takes no optimizer step"}
    answers = {"1": fits, "2": too_large, "3": failed}

    def answer(route: Route) -> None:
        last = json.loads(route.request.post_data or "")["spec"]["command"][-1]
        if last in answers:  # the first question stays open, as while a worker measures
            route.fulfill(json=answers[last])

    page.route("**/v1/estimates?*", answer)
    script = tmp_path / "train.py"
    script.write_text("print('memory')\n")
    page.goto("/programs")
    page.locator("input[type=file]").first.set_input_files(script)
    memory = page.get_by_role("region", name="GPU memory")
    expect(memory).to_contain_text("Predicting the peak")
    for steps, said in (
        ("1", "Likely fits"),
        ("2", "Likely cannot fit"),
        ("3", "The program takes no optimizer step"),
        ("absent", "Correct the form"),
    ):
        command = "python absent.py" if steps == "absent" else f"python train.py --steps {steps}"
        page.get_by_label("Command").fill(command)
        expect(memory).to_contain_text(said)
    page.get_by_label("Command").fill("python train.py --steps 1")
    expect(memory).to_contain_text(re.compile(r"10(\.0+)? GiB"))
    expect(memory).to_contain_text("Assumed: data are random.")
    look(page, "light-desktop", "program-memory")
