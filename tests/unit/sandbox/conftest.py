"""Programs in a sandbox of their own, without a lab."""

import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import Groups, Limits, SandboxPolicy, SandboxProcess, capability, free_place, launch, mend

SECONDS = 60.0
WORK = free_place("/work")


@dataclass
class Ended:
    """What became of a program."""

    status: int | None
    output: str


@dataclass
class Box:
    """A run's folders outside, and how to start a program on them."""

    folder: Path
    limits: Limits
    groups: Groups | None = None

    def start(self, code: str, /, **more: object) -> SandboxProcess:
        policy = SandboxPolicy(
            readable={"/program": self.folder / "program"},
            writable={WORK: self.folder / "work"},
            working_directory=WORK,
            limits=self.limits,
            **more,  # type: ignore[arg-type]
        )
        environment = {"PATH": "/usr/bin:/bin", "HOME": WORK, "PYTHONDONTWRITEBYTECODE": "1"}
        (self.folder / "program" / "main.py").write_text(textwrap.dedent(code).replace("/work/", WORK + "/"))
        with (self.folder / "output.log").open("wb+") as output:
            return launch(
                policy,
                [sys.executable, "/program/main.py", str(self.folder)],
                environment,
                output=output.fileno(),
                groups=self.groups,
            )

    def run(self, code: str, /, **more: object) -> Ended:
        process = self.start(code, **more)
        try:
            assert process.wait(SECONDS), "it did not end"
        finally:
            process.kill()
        return Ended(process.status, self.output())

    def output(self) -> str:
        return (self.folder / "output.log").read_text(errors="replace")


@pytest.fixture(scope="session", autouse=True)
def _needs_a_sandbox() -> None:
    if (reason := capability()) is not None:
        pytest.skip(f"{reason}; {mend(reason)}")


@pytest.fixture
def box(tmp_path: Path) -> Callable[..., Box]:
    def made(groups: Groups | None = None, **limits: int) -> Box:
        for name in ("program", "work"):
            (tmp_path / name).mkdir(exist_ok=True)
        return Box(tmp_path, Limits(**limits), groups)

    return made
