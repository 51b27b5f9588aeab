"""Programs in a whole lab, most of them hostile. Each kind alone is in integration/core/test_sandboxed_runs.py."""

import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import capability, mend
from tests.lab import Lab, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(capability() is not None, reason=f"{capability()}; {mend(capability() or '')}"),
]
HOSTILE = {
    "forks": "import os\nwhile True: os.fork()",
    "ignores": "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(1)",
    "prints": "while True: print('x' * 100_000)",
    "writes": "while True: open('more', 'ab').write(bytes(1 << 20))",
    "spins": "import os\nos.fork(), os.fork()\nwhile True: pass",
}
MANY = 50
HONEST = "from gpulab import run\nrun.metrics(1, loss=0.5)\nrun.result({'ok': True})"


@pytest.fixture(scope="module")
def hard_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    settings = {
        "GPULAB_SLOTS": "4",
        "GPULAB_STOP_GRACE_SECONDS": "0.5",
        "GPULAB_PROGRAM_DISK_BYTES": str(32 << 20),
        "GPULAB_PROGRAM_OUTPUT_BYTES": str(4 << 20),
        "GPULAB_HOST_MEMORY_BYTES": str(1 << 30),
    }
    lab = Lab(tmp_path_factory.mktemp("hard"), settings=settings)
    try:
        yield lab.start()
    finally:
        lab.stop()


def submit(lab: Lab, code: str, **fields: Any) -> str:
    file = ("main.py", textwrap.dedent(code).encode(), "text/x-python")
    answer = lab.client.post("/v1/programs", files=[("files", file)])
    assert answer.status_code < 300, answer.text
    spec = {"program": answer.json()["sha256"], "command": ["python", "main.py"]}
    return lab.submit("script", spec, gpus=0, **fields)


def left_of(lab: Lab) -> list[str]:
    """Processes of the lab's sandboxes, and folders of runs."""
    mark = f"GPULAB_ZYGOTE={lab.runs.resolve()}".encode()
    found = [str(path) for path in Path("/proc").glob("[0-9]*") if _is_sandbox(path, mark)]
    return found + [str(path) for path in lab.runs.glob("*-*-*")]


def _is_sandbox(process: Path, mark: bytes) -> bool:
    try:
        return mark in (process / "environ").read_bytes() and b"bwrap" in (process / "cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.timeout(400)
def test_fifty_hostile_programs_are_contained_while_an_honest_one_runs(hard_lab: Lab) -> None:
    lab = hard_lab
    kinds = list(HOSTILE.items())
    jobs = {
        submit(lab, f"# {number}\n{kinds[number % len(kinds)][1]}", time_limit_seconds=2): kinds[number % len(kinds)][0]
        for number in range(MANY)
    }
    began = time.monotonic()
    honest = submit(lab, HONEST, priority="high")
    assert lab.wait_for(honest, "succeeded", timeout_seconds=60)["result"]["ok"] is True
    assert time.monotonic() - began < 60
    for job_id, kind in jobs.items():
        job = lab.wait_for(job_id, "failed", timeout_seconds=300)
        assert job["cause"] in {"limit_exceeded", "time_limit"}, (kind, job["message"])
        assert job["message"], kind
    wait_until(lambda: not left_of(lab), what="the end of every sandbox")
    lab.check_alive()
    assert lab.client.get("/readyz").status_code == 200


def test_program_ends_when_it_is_cancelled_whatever_it_wants(hard_lab: Lab) -> None:
    lab = hard_lab
    job_id = submit(lab, HOSTILE["ignores"])
    lab.wait_for(job_id, "running")
    lab.client.post(f"/v1/jobs/{job_id}/cancel")
    lab.wait_for(job_id, "cancelled")
    wait_until(lambda: not left_of(lab), what="the end of the sandbox")


def test_killed_worker_takes_its_sandboxes_with_it(hard_lab: Lab) -> None:
    lab = hard_lab
    job_id = submit(lab, "from gpulab import run\nimport time\nrun.metrics(1, loss=1)\ntime.sleep(600)")
    lab.wait_for(job_id, "running")
    wait_until(lambda: left_of(lab), what="the sandbox")
    lab.kill("worker")
    wait_until(lambda: not [each for each in left_of(lab) if each.startswith("/proc")], what="the end of the sandbox")
    lab.start("worker")
