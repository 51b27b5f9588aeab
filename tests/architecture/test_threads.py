"""No thread and no task of a process may die alone: all are started by `gpulab/threads.py`."""

import re

from tests.architecture.test_house import ROOT, tracked

BARE = re.compile(r"(?<!\w)(Thread|Timer|start_new_thread|create_task|ensure_future|run_coroutine_threadsafe)\(")
PRODUCT = ("api", "experiments", "gate", "gpulab", "migrations", "models", "scheduler", "server", "worker")
HELPER = "gpulab/threads.py"


def bare(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if BARE.search(line) and "class " not in line]


def test_every_thread_and_task_is_vital() -> None:
    files = tracked(*(f"{package}/*.py" for package in PRODUCT))
    assert len(files) > 100
    found = {name: lines for path in files if (lines := bare(path.read_text())) and (name := _name(path)) != HELPER}
    assert found == {}


def test_bare_ones_are_seen() -> None:
    for line in ("threading.Thread(target=f)", "t = Thread(target=f, daemon=True)", "asyncio.create_task(f())"):
        assert bare(f"    x = 1\n    {line}\n") == [line]
    assert bare('VitalThread("agent", self._run)\nvital_task("hub", f())') == []


def _name(path: object) -> str:
    return str(path).removeprefix(f"{ROOT}/")
