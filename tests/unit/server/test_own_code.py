"""The line that shows how a program of one's own went, beside the answers of a question set."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from gpulab.errors import WaitTimeout
from gpulab.states import JobState, WaitReason
from server.commands.own_code import OwnCode, finished, line


def own(state: JobState, message: str | None = None, **result: Any) -> OwnCode:
    return OwnCode("mine.py", "1", state, message, result, [])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (own(JobState.SUCCEEDED, loss=0.25, steps=10), "Your own code: mine.py succeeded: loss 0.25, steps 10"),
        (own(JobState.SUCCEEDED), "Your own code: mine.py succeeded: no result"),
        (own(JobState.FAILED, "cell 1 failed"), "Your own code: mine.py cell 1 failed"),
        (own(JobState.CANCELLED), "Your own code: mine.py cancelled"),
    ],
)
def test_line_says_what_came_out(found: OwnCode, said: str) -> None:
    assert line(found) == said


def test_lab_without_a_sandbox_is_said_and_not_waited_for(tmp_path: Path) -> None:
    class Waiting:
        id = uuid4()
        cancelled = False

        def refresh(self) -> "Waiting":
            return self

        def queue(self) -> Any:
            return SimpleNamespace(reason=WaitReason.NO_SANDBOX, explanation="no node can run script (no bubblewrap)")

        def cancel(self) -> None:
            self.cancelled = True

        def _loaded(self) -> Any:
            return SimpleNamespace(name="mine.py", state=JobState.CANCELLED, result=None)

    job = Waiting()
    assert line(finished(cast("Any", job), tmp_path)) == (
        "Your own code: mine.py not run: no node can run script (no bubblewrap)"
    )
    assert job.cancelled


def test_program_that_goes_on_is_said(tmp_path: Path) -> None:
    class Running:
        id = "7"

        def refresh(self) -> "Running":
            return self

        def queue(self) -> Any:
            return SimpleNamespace(reason=None)

        def wait(self, seconds: float) -> None:
            raise WaitTimeout(f"not final after {seconds} s")

        def _loaded(self) -> Any:
            return SimpleNamespace(name="mine.py", state=JobState.RUNNING, result=None)

    found = finished(cast("Any", Running()), tmp_path)
    assert line(found) == "Your own code: mine.py not finished 120 s after the questions; see gpulab status 7"
