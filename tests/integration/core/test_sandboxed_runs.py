"""Students' programs through the real supervisor, sandbox, host, sampler, database and store. Many are hostile."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from gpulab.states import JobState
from models import MetricChunk, SampleChunk
from sandbox import capability, mend
from sandbox.system import python_folders
from tests.integration.core.sandboxed_node import Execute, Node, sandboxed_node
from tests.lab import wait_until
from worker.runs.attempt import StopReason

SOCKETS = """
import socket, time
held = []
while True:
    try:
        held += socket.socketpair()
        held[-1].send(bytes(10_000))
    except OSError:
        time.sleep(0.1)  # no more open files: what it holds is seen at the next look
"""
DELETED_FILE = "import os\nf = open('f', 'wb')\nos.remove('f')\nwhile True:\n    f.write(bytes(1 << 20))"
RECORDS = "f = open('/run/gpulab/records.ndjson', 'ab')\nwhile True:\n    f.write(b'{}\\n' * 10_000)"
pytestmark = pytest.mark.skipif(capability() is not None, reason=f"{capability()}; {mend(capability() or '')}")


@pytest.fixture
def node(engine: Engine, execute: Execute, tmp_path: Path, make_job: Any, make_lease: Any) -> Iterator[Node]:
    with sandboxed_node(engine, execute, tmp_path, make_job, make_lease) as made:
        yield made


def test_a_program_runs_and_everything_of_it_is_kept(node: Node) -> None:
    (node.datasets / "flowers").mkdir()
    (node.datasets / "flowers" / "one").write_text("rose")
    job = node.run(
        """
from gpulab import run
from pathlib import Path
import os
print("hello", run.seed)
for step in range(3):
    run.metrics(step, loss=1.0 / (step + 1))
Path("outputs").mkdir(exist_ok=True)
Path("outputs/answer.txt").write_text((Path(os.environ["GPULAB_DATASETS"]) / "flowers/one").read_text())
run.result({"total": 3})
""",
        datasets=["flowers"],
    )
    assert (job.state, job.cause, job.message) == (JobState.SUCCEEDED, None, None), job.output
    assert job.result["total"] == 3
    assert node.artifacts(job.id)["answer.txt"] == b"rose"
    chunks = node.execute(select(MetricChunk.values).where(MetricChunk.job_id == job.id, MetricChunk.name == "loss"))
    assert [value for chunk in chunks for value in chunk["values"]] == pytest.approx([1, 0.5, 1 / 3])
    sources = node.execute(select(SampleChunk.source).where(SampleChunk.job_id == job.id))
    assert {row["source"] for row in sources} >= {"host"}


def test_its_own_failure_is_told_with_its_words(node: Node) -> None:
    job = node.run("raise ValueError('no such thing')")
    assert (job.state, job.cause) == (JobState.FAILED, "error")
    assert "no such thing" in job.message


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\nwhile True:\n    os.fork()", "processes and threads"),
        ("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()", "and threads"),
        ("while True:\n    open('more', 'ab').write(bytes(1 << 20))", "on the disk"),
        (DELETED_FILE, "on the disk"),
        ("n = 0\nwhile True:\n    open(f'f{n}', 'w').close()\n    n += 1", "too many files"),
        ("import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')", "deep"),
        ("n = 0\nwhile True:\n    open(f'/tmp/{n}', 'w').close()\n    n += 1", "too many files in /tmp and /dev/shm"),
        (SOCKETS, "sockets"),
        ("while True:\n    print('x' * 100_000)", "of output"),
        (RECORDS, "of records"),
    ],
    ids=[
        "fork-bomb",
        "thread-bomb",
        "disk",
        "hidden-file",
        "files",
        "depth",
        "files-in-memory",
        "sockets",
        "output",
        "records",
    ],
)
def test_what_takes_too_much_is_ended_with_the_limit(node: Node, code: str, words: str) -> None:
    began = time.monotonic()
    job = node.run(code)
    assert (job.state, job.cause) == (JobState.FAILED, "limit_exceeded"), (job.message, node.events(job.id)[-3:])
    assert words in job.message
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "code",
    [
        "held = []\nwhile True:\n    held.append(bytearray(20 << 20))",
        "import os, time\nfor _ in range(5): os.fork()\nheld = bytearray(os.urandom(1 << 20)) * 50\ntime.sleep(60)",
    ],
    ids=["one-process", "the-whole-tree"],
)
def test_memory_is_that_of_the_whole_tree(node: Node, code: str) -> None:
    job = node.run(code)
    assert (job.state, job.cause) == (JobState.FAILED, "out_of_memory"), job.message


def test_processor_time_is_counted(node: Node) -> None:
    node.supervisor._programs._limits = type(node.supervisor._programs._limits)(
        processes=0, cpu_seconds=1.0, disk_bytes=0, files=1000, output_bytes=0, records_bytes=0
    )
    job = node.run("import os\nos.fork()\nwhile True: pass")
    assert (job.cause, "processor time" in job.message) == ("limit_exceeded", True)


def test_time_limit_ends_what_ignores_every_request(node: Node) -> None:
    job = node.run(
        "import signal, time, os\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\nos.fork()\n"
        "while True: time.sleep(1)",
        time_limit_seconds=4,
    )
    assert (job.state, job.cause) == (JobState.FAILED, "time_limit")


def test_cancelled_program_ends_however_little_it_wants_to(node: Node) -> None:
    job_id = node.start(
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nfrom gpulab import run\nrun.metrics(1, loss=1)\n"
        "while True: time.sleep(1)"
    )
    wait_until(lambda: node.execute(select(MetricChunk.name).where(MetricChunk.job_id == job_id)))
    next(iter(node.supervisor.attempts.values())).stop(StopReason.CANCEL)
    assert node.finish(job_id).state == JobState.CANCELLED


def test_daemon_does_not_outlive_the_run(node: Node) -> None:
    job = node.run(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n"
        "    os._exit(0)\nprint('done')"
    )
    assert job.state == JobState.SUCCEEDED


def test_links_in_its_folders_lead_nowhere(node: Node) -> None:
    """Neither files of the system nor of the lab become artifacts."""
    (node.settings.runs_folder).mkdir(exist_ok=True)
    secret = node.settings.runs_folder / "of-another-run"
    secret.write_text("SECRET")
    job = node.run(
        f"""
import hashlib, json, os, time
os.makedirs("outputs")
os.symlink("/etc/passwd", "outputs/passwd")
os.symlink({str(secret)!r}, "outputs/other")
os.mkfifo("outputs/fifo")
records = open("/run/gpulab/records.ndjson", "a")
def claim(name, size, digest="0" * 64):
    line = {{"time": time.time(), "type": "artifact", "name": name, "size_bytes": size, "sha256": digest}}
    records.write(json.dumps(line) + "\\n")
    records.flush()
os.symlink({str(secret)!r}, "/run/gpulab/artifacts/secret.txt")
claim("secret.txt", 6)
os.symlink("/etc/passwd", "/run/gpulab/artifacts/passwd.txt")
for size in (os.stat("/etc/passwd").st_size, {Path("/etc/passwd").stat().st_size}):
    claim("passwd.txt", size)
os.mkfifo("/run/gpulab/artifacts/pipe.txt")
claim("pipe.txt", 0)
open("/run/gpulab/artifacts/true.txt", "w").write("true")
os.link("/run/gpulab/artifacts/true.txt", "/run/gpulab/artifacts/twice.txt")
claim("twice.txt", 4, hashlib.sha256(b"true").hexdigest())
open("/run/gpulab/artifacts/liar.txt", "w").write("true")
claim("liar.txt", 4, hashlib.sha256(b"other").hexdigest())
os.rename("/run/gpulab/checkpoints", "/run/gpulab/former")
os.symlink({str(node.settings.runs_folder)!r}, "/run/gpulab/checkpoints")
line = {{"time": time.time(), "type": "checkpoint", "step": 1, "name": "of-another-run", "size_bytes": 6}}
records.write(json.dumps(line | {{"sha256": "0" * 64}}) + "\\n")
"""
    )
    secret.unlink()
    assert job.state == JobState.SUCCEEDED, job.message
    assert node.artifacts(job.id) == {}
    stored = [bytes(node.store.get(meta["path"]).bytes()) for meta in node.store.list("jobs").collect()]
    assert stored == []


def test_records_cannot_claim_what_only_the_lab_says(node: Node) -> None:
    job = node.run(
        """
import json, os, time
with open("/run/gpulab/records.ndjson", "a") as records:
    for line in (
        {"type": "prediction", "peak_bytes": 1},
        {"type": "disturbed", "message": "it was the machine"},
        {"type": "error", "message": "lost", "cause": "lost"},
        {"type": "usage", "gpu_hours": -5},
        {"type": "result", "value": {"accuracy": 1.0}},
        {"type": "metric", "step": 1, "values": {"honest": 1.0}},
    ):
        records.write(json.dumps({"time": time.time(), **line}) + "\\n")
open("/run/gpulab/samples.ndjson", "w").write('{"time":1,"source":"gpu","values":{"process_used_bytes":1}}\\n')
os._exit(3)
"""
    )
    assert (job.state, job.cause, job.result, job.lost_attempts) == (JobState.FAILED, "error", None, 0)
    refused = " ".join(node.events(job.id))
    assert "only the lab can report" in refused
    sources = {row["source"] for row in node.execute(select(SampleChunk.source).where(SampleChunk.job_id == job.id))}
    assert sources <= {"host", "allocator"}


def test_program_that_kills_its_host_fails_by_itself(node: Node) -> None:
    job = node.run("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.kill(-1, signal.SIGKILL)")
    assert (job.state, job.cause, job.lost_attempts) == (JobState.FAILED, "error", 0)


def test_nothing_of_the_lab_can_be_reached(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://SECRET")
    other = node.settings.runs_folder
    other.mkdir(exist_ok=True)
    (other / "token").write_text("SECRET")
    code = [str(path) for path in python_folders()]
    folders = [path for path in ("/root/.ssh", "/var", "/home") if not any(each.startswith(path) for each in code)]
    hidden = [str(other), str(node.store.prefix), *folders]
    job = node.run(
        f"""
import glob, os, socket
from gpulab import run
def exists(path):
    return os.path.exists(path)
found = {{
    "paths": [p for p in {hidden} if exists(p)],
    "secret": any("SECRET" in open(p, errors="replace").read() for p in glob.glob("/proc/[0-9]*/environ")),
    "worker": exists("/proc/{os.getpid()}"),
    "devices": [p for p in glob.glob("/dev/nvidia*") + glob.glob("/dev/sd*") + glob.glob("/dev/vd*")],
}}
try:
    socket.create_connection(("1.1.1.1", 53), 2)
    found["network"] = True
except OSError:
    found["network"] = False
run.result({{name: str(value) for name, value in found.items()}})
"""
    )
    (other / "token").unlink()
    assert job.state == JobState.SUCCEEDED, job.message
    found = {name: job.result[name] for name in ("paths", "secret", "worker", "devices", "network")}
    assert found == {"paths": "[]", "secret": "False", "worker": "False", "devices": "[]", "network": "False"}


def test_program_that_the_store_does_not_have_fails_and_does_not_come_again(node: Node) -> None:
    job_id = node.submit("0" * 64)
    node.supervisor.run(*node._make_lease(claimed=False, job_id=job_id))
    job = node.finish(job_id)
    assert (job.state, job.cause, job.lost_attempts) == (JobState.FAILED, "error", 0)
    assert "does not have its program" in job.message


def test_killed_worker_leaves_what_the_next_one_finds(node: Node) -> None:
    """Its sandboxes are found by their mark, and what they left is shipped."""
    from worker.runs.orphans import end_orphans

    job_id = node.start(
        "from gpulab import run\nimport time\nrun.metrics(1, loss=1)\nprint('here', flush=True)\ntime.sleep(600)"
    )
    wait_until(lambda: node.execute(select(MetricChunk.name).where(MetricChunk.job_id == job_id)))
    end_orphans(node.settings.runs_folder)
    job = node.finish(job_id)
    assert job.state in {JobState.QUEUED, JobState.FAILED}
    assert json.dumps(node.events(job_id))
