"""How much of a machine one job may hold, what it holds, and what ends it."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from worker.measuring.host_memory import HostBreach, limit_of_job, memory_of_machine, oom_kills, proportional_bytes
from worker.measuring.nvml import NvmlAbsent
from worker.measuring.sampler import Breach, Sampler, Watched

GIB = 2**30
MIB = 2**20
HOLD = "import sys; held = b'x' * ({mib} << 20); print('up', flush=True); sys.stdin.read()"
FAMILY = textwrap.dedent(
    """
    import os, sys
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        held = b'x' * ({mib} << 20)
        os.write(write, b'y')
    else:
        os.read(read, 1)
        print('up', flush=True)
    sys.stdin.read()
    """
)


@pytest.mark.parametrize(
    ("configured", "slots", "machine", "limit"),
    [
        (None, 1, 10 * GIB, 8 * GIB),
        (None, 0, 10 * GIB, 8 * GIB),
        (None, 2, 10 * GIB, 4 * GIB),
        (None, 64, 10 * GIB, 4 * GIB),
        (3 * GIB, 64, 10 * GIB, 3 * GIB),
        (0, 2, 10 * GIB, 0),
    ],
)
def test_limit_of_a_job(configured: int | None, slots: int, machine: int, limit: int) -> None:
    assert limit_of_job(configured, slots, machine) == limit


def machine(folder: Path, cgroup: str, limits: dict[str, str]) -> int:
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: {16 * MIB} kB\n")
    (proc / "self" / "cgroup").write_text(cgroup)
    for name, content in limits.items():
        path = cgroups / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return memory_of_machine(proc, cgroups)


@pytest.mark.parametrize(
    ("cgroup", "limits", "gib"),
    [
        ("", {}, 16),
        ("0::/\n", {"memory.max": "max\n"}, 16),
        ("0::/\n", {"memory.max": f"{4 * GIB}\n"}, 4),
        ("0::/a/b\n", {"a/memory.max": f"{3 * GIB}\n", "a/b/memory.max": "max\n"}, 3),
        ("5:cpu,memory:/a\n", {"memory/a/memory.limit_in_bytes": f"{2 * GIB}\n"}, 2),
        ("5:memory:/a\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 16),
    ],
)
def test_machine_is_what_its_container_may_take(tmp_path: Path, cgroup: str, limits: dict[str, str], gib: int) -> None:
    assert machine(tmp_path, cgroup, limits) == gib * GIB


def test_this_machine_has_memory_and_counts_its_kills(tmp_path: Path) -> None:
    assert memory_of_machine() > 64 * MIB
    assert oom_kills() >= 0
    assert oom_kills(tmp_path) == 0
    (tmp_path / "vmstat").write_text("pgfault 12\noom_kill 7\n")
    assert oom_kills(tmp_path) == 7


@pytest.mark.parametrize("code", [HOLD, FAMILY], ids=["one process", "a child in a session of its own"])
@pytest.mark.parametrize(("limit_mib", "ends"), [(100, True), (1000, False)])
def test_job_that_holds_more_than_it_may_is_noticed_once(tmp_path: Path, code: str, limit_mib: int, ends: bool) -> None:
    found: list[HostBreach] = []
    gpu_breaches: list[Breach] = []
    command = [sys.executable, "-c", code.format(mib=200)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        sampler = Sampler(NvmlAbsent("none"))
        sampler.watch(
            Watched("job", tmp_path, process.pid, (), None, gpu_breaches.append, limit_mib * MIB, found.append)
        )
        for _ in range(3):
            sampler.tick()
        sampler.stop(0)
        assert proportional_bytes([process.pid]) > MIB
        process.communicate()
    assert len(found) == int(ends)
    assert gpu_breaches == []
    if ends:
        assert 200 * MIB < found[0].used_bytes < 400 * MIB
        assert str(found[0]).startswith("it used 0.2")
        assert "the limit of a job is 0.10 GiB" in str(found[0])


MAP = """
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    seen = sum(mapped[at] for at in range(0, len(mapped), 4096))
    mapped[: {mib} << 20] = b"x" * ({mib} << 20)
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("changed_mib", [0, 60])
def test_pages_of_a_mapped_file_count_only_where_they_were_changed(tmp_path: Path, changed_mib: int) -> None:
    path = tmp_path / "cache"
    path.write_bytes(b"\1" * (120 * MIB))
    command = [sys.executable, "-c", MAP.format(mib=changed_mib), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        held = proportional_bytes([process.pid])
        process.communicate()
    assert changed_mib * MIB < held < (changed_mib + 50) * MIB


@pytest.mark.parametrize(
    ("rollup", "kib"),
    [
        ("Pss: 900 kB\nPss_Anon: 100 kB\nPss_File: 600 kB\nPss_Shmem: 200 kB\n", 300),
        ("Pss: 900 kB\nShared_Clean: 0 kB\n", 900),
        ("", 0),
    ],
)
def test_memory_that_counts(tmp_path: Path, rollup: str, kib: int) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "smaps_rollup").write_text(f"55d0-7ffd ---p 00000000 00:00 0 [rollup]\n{rollup}")
    assert proportional_bytes([7], tmp_path) == kib * 1024


ASK = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from experiments.hosting import host
    from experiments.hosting.run_directory import RunDirectory
    from experiments.hosting.verdict import ending_of
    from experiments.hosting.wire import RunOrder
    folder = Path(sys.argv[1])
    order = RunOrder(experiment="x", spec={}, host_memory_bytes=1 << 30, datasets_folder=folder, cache_folder=folder)
    host._limit_memory(order)
    import numpy
    try:
        numpy.ones(40 << 30, dtype=numpy.uint8)
    except MemoryError as error:
        print(json.dumps(ending_of(error, order, RunDirectory(folder), None)))
    """
)


def test_what_is_asked_for_at_once_and_too_large_is_refused_in_words(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ASK, str(tmp_path)], capture_output=True, text=True, check=True)
    kind, fields = json.loads(done.stdout)
    assert (kind, fields["cause"]) == ("error", "out_of_memory")
    assert "Unable to allocate 40.0 GiB" in fields["message"]
    assert "the limit of a job is 1.00 GiB" in fields["message"]
