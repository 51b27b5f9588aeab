"""Programs that spoil what the worker reads: their records, their files, their host. Each has a clear end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from gpulab.states import JobState
from models import MetricChunk, SampleChunk
from sandbox import capability, mend
from tests.integration.core.sandboxed_node import Execute, Node, sandboxed_node

pytestmark = pytest.mark.skipif(capability() is not None, reason=f"{capability()}; {mend(capability() or '')}")

ODD_RECORDS = r"""
import json
from gpulab import run
odd = [
    b'{"time": 1, "type": "metric", "step": 1, "values": {"loss": NaN, "far": -Infinity}}',
    b'{"time": NaN, "type": "metric", "step": 1, "values": {"refused": 1}}',
    b'{"time": 1, "type": "progress", "fraction": 0.5, "message": "\\ud800 \\u0000"}',
    b'{"time": 1, "type": "warning", "message": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"time": 1, "type": "result", "value": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}",
    b'{"time": 1, "type": "metric", "step": 1e400, "values": {"refused": 1}}',
    b'{"time": 1, "type": "metric", "step": ' + b"9" * 5000 + b', "values": {"refused": 1}}',
    b'{"type": "metric", "type": "result", "value": {}}',
    b'\xff\xfe', b'"', b"[]", b"null", b"\0" * 100, b"",
]
levels = (json.dumps({"time": 1, "type": "memory", f"a{n}_bytes": 1}).encode() for n in range(20_000))
with open("/run/gpulab/records.ndjson", "ab") as records:
    for line in (*odd, *levels):
        records.write(line + b"\n")
run.result({"n": 1, "text": "\ud800"})
"""
TAKE_ALL_AWAY = """
import os, shutil
for name in os.listdir("/run/gpulab"):
    path = "/run/gpulab/" + name
    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
"""
SHRINK_HOST = "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (0, 0))\nprint('done')"
ODD_FILES = r"""
import os, socket
from gpulab import run
os.makedirs("outputs/deep/" + "/".join(["d" * 50] * 20))
socket.socket(socket.AF_UNIX).bind("outputs/socket")
os.mkfifo("outputs/deep/fifo")
os.symlink("deep", "outputs/loop")
os.symlink("/proc/self/environ", "outputs/deep/environ")
os.symlink("/dev/zero", "outputs/zero")
for name in (b"a\xff\nb.txt", "\u202e.txt".encode(), b"-rf", b"CON.txt", b"con.txt"):
    open(b"outputs/" + name, "wb").write(name)
os.mkdir("outputs/locked", 0)
os.rename("outputs", "elsewhere")
os.rename("elsewhere", "outputs")
run.result({"n": 1})
"""
FULL_OF_HOLES = """
import hashlib, json, time
with open("/run/gpulab/artifacts/hole.bin", "wb") as hole:
    hole.truncate(200 << 20)
with open("/run/gpulab/artifacts/hole.bin", "rb") as hole:
    digest = hashlib.file_digest(hole, "sha256").hexdigest()
with open("/run/gpulab/records.ndjson", "a") as records:
    line = {"time": time.time(), "type": "artifact", "name": "hole.bin", "size_bytes": 200 << 20, "sha256": digest}
    records.write(json.dumps(line) + "\\n")
"""


@pytest.fixture
def node(engine: Engine, execute: Execute, tmp_path: Path, make_job: Any, make_lease: Any) -> Iterator[Node]:
    with sandboxed_node(engine, execute, tmp_path, make_job, make_lease) as made:
        yield made


def test_odd_records_cost_themselves_alone(node: Node) -> None:
    job = node.run(ODD_RECORDS)
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"n": 1, "text": "\\ud800"}), (job.message, job.output)
    names = node.execute(select(MetricChunk.name).where(MetricChunk.job_id == job.id))
    assert {row["name"] for row in names} == {"loss", "far"}
    chunks = node.execute(
        select(SampleChunk.values).where(SampleChunk.job_id == job.id, SampleChunk.source == "allocator")
    )
    assert 0 < len({name for chunk in chunks for name in chunk["values"]}) <= 16


@pytest.mark.parametrize(
    "code",
    [
        TAKE_ALL_AWAY + "os.makedirs('outputs')\nopen('outputs/a', 'w').write('x')",
        TAKE_ALL_AWAY + "os.mkdir('/run/gpulab/records.ndjson')",
        SHRINK_HOST,
    ],
    ids=["its-run", "its-records", "its-host"],
)
def test_program_that_spoils_its_own_run_fails_by_itself(node: Node, code: str) -> None:
    job = node.run(code, time_limit_seconds=20)
    assert (job.state, job.lost_attempts) == (JobState.FAILED, 0), (job.message, job.output)
    assert job.cause in {"error", "limit_exceeded", "time_limit"}
    assert job.message


def test_program_that_stops_its_host_and_itself_ends_at_its_time_limit(node: Node) -> None:
    job = node.run("import os\nos.kill(os.getppid(), 19)\nos.kill(os.getpid(), 19)", time_limit_seconds=3)
    assert (job.state, job.cause) == (JobState.FAILED, "time_limit")


def test_outputs_of_any_kind_are_taken_with_care(node: Node) -> None:
    job = node.run(ODD_FILES)
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"n": 1}), (job.message, job.output)
    kept = node.artifacts(job.id)
    assert sorted(kept.values()) == sorted(
        [b"a\xff\nb.txt", "\N{RIGHT-TO-LEFT OVERRIDE}.txt".encode(), b"-rf", b"CON.txt", b"con.txt"]
    )


def test_file_of_holes_takes_no_more_room_in_the_store_than_a_program_may_have(node: Node) -> None:
    job = node.run(FULL_OF_HOLES)
    assert job.state == JobState.SUCCEEDED, (job.message, job.output)
    assert node.artifacts(job.id) == {}
    assert "the files of a program may take 33554432 bytes together" in " ".join(node.events(job.id))
