"""Control groups: which one is ours, and, where the kernel lends one, what it holds back for real."""

from pathlib import Path

import pytest

from sandbox import Group, Groups, Limits
from sandbox import groups as module

MIB = 2**20


class Hierarchy:
    """Folders as the kernel shows them, as far as plain files can."""

    def __init__(self, folder: Path, place: str = "/system.slice/gpulab.service") -> None:
        self.root = folder / "cgroup"
        self.group = self.root / place.lstrip("/")
        self.group.mkdir(parents=True)
        self.own = folder / "self"
        self.own.write_text(f"0::{place}\n")
        self.write("cgroup.controllers", "cpu memory pids\n")
        for name in ("cgroup.procs", "cgroup.subtree_control"):
            self.write(name, "")

    def write(self, name: str, text: str) -> None:
        (self.group / name).write_text(text)

    def take(self) -> Groups | None:
        return Groups.take(self.root, self.own)


@pytest.fixture
def delegated(monkeypatch: pytest.MonkeyPatch) -> dict[Path, bytes]:
    """Marks of groups; extended attributes are not to be had on every disk."""
    marks: dict[Path, bytes] = {}
    monkeypatch.setattr(module, "_attribute", lambda folder, name: marks.get(folder) if "user" in name else None)
    return marks


def test_group_that_systemd_marked_is_taken(tmp_path: Path, delegated: dict[Path, bytes]) -> None:
    kernel = Hierarchy(tmp_path)
    delegated[kernel.group] = b"1"
    assert kernel.take() is not None
    assert (kernel.group / "cgroup.subtree_control").read_text() == "+memory +pids"
    assert (kernel.group / "lab").is_dir()


def test_group_above_is_taken_after_the_processes_moved_down(tmp_path: Path, delegated: dict[Path, bytes]) -> None:
    kernel = Hierarchy(tmp_path)
    delegated[kernel.group] = b"1"
    (kernel.group / "lab").mkdir()
    kernel.own.write_text("0::/system.slice/gpulab.service/lab\n")
    assert kernel.take() is not None
    assert (kernel.group / "cgroup.subtree_control").read_text() == "+memory +pids"


@pytest.mark.parametrize(
    ("own", "mark", "controllers"),
    [
        ("0::/system.slice/gpulab.service\n", b"0", "memory pids"),
        ("0::/system.slice/gpulab.service\n", None, "memory pids"),
        ("0::/system.slice/gpulab.service\n", b"1", "cpu pids"),
        ("4:memory:/system.slice/gpulab.service\n", b"1", "memory pids"),
        ("", b"1", "memory pids"),
        ("0::/nowhere\n", b"1", "memory pids"),
    ],
)
def test_group_that_is_not_ours_is_left_alone(
    tmp_path: Path, delegated: dict[Path, bytes], own: str, mark: bytes | None, controllers: str
) -> None:
    kernel = Hierarchy(tmp_path)
    kernel.own.write_text(own)
    kernel.write("cgroup.controllers", controllers)
    if mark is not None:
        delegated[kernel.group] = mark
    assert kernel.take() is None
    assert not (kernel.group / "lab").exists()


def test_limits_are_written_and_the_ones_not_set_are_not(tmp_path: Path, delegated: dict[Path, bytes]) -> None:
    kernel = Hierarchy(tmp_path)
    delegated[kernel.group] = b"1"
    groups = kernel.take()
    assert groups is not None
    both = groups.make(Limits(group_processes=70, group_memory_bytes=5 * MIB))
    written = {path.name: path.read_text() for path in both.folder.iterdir()}
    assert written == {"pids.max": "70", "memory.max": str(5 * MIB), "memory.oom.group": "1"}
    assert list(groups.make(Limits()).folder.iterdir()) == []


def test_closing_keeps_what_the_kernel_counted(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 1\n")
    (tmp_path / "memory.peak").write_text("12345\n")
    group = Group(tmp_path)
    group.close()
    assert (group.ran_out_of_memory, group.peak_bytes) == (True, 12345)
    assert (tmp_path / "cgroup.kill").read_text() == "1"


def test_kernel_that_counts_nothing_leaves_nothing_known(tmp_path: Path) -> None:
    group = Group(tmp_path / "gone")
    group.close()
    assert (group.ran_out_of_memory, group.peak_bytes) == (False, None)


@pytest.fixture(scope="module")
def groups() -> Groups:
    found = Groups.take()
    if found is None:
        pytest.skip("no control group with memory and pids is delegated to this process (systemd: Delegate=)")
    return found


def test_kernel_ends_a_program_that_takes_too_much_memory(box, groups: Groups) -> None:
    run = box(groups, group_memory_bytes=200 * MIB)
    process = run.start("held = bytearray(10 * 2**20)\nprint('small', flush=True)\nheld = b'x' * (2 * 2**30)")
    assert process.wait(60)
    assert "small" in run.output()
    assert process.status != 0
    assert process.group.ran_out_of_memory
    assert process.group.peak_bytes is None or 150 * MIB < process.group.peak_bytes <= 201 * MIB
    assert not process.group.folder.exists()


def test_memory_in_files_of_tmp_counts(box, groups: Groups) -> None:
    run = box(groups, group_memory_bytes=100 * MIB)
    process = run.start("open('/tmp/large', 'wb').write(b'x' * (400 * 2**20))")
    assert process.wait(60)
    assert process.group.ran_out_of_memory


def test_kernel_stops_a_fork_bomb_also_of_root(box, groups: Groups) -> None:
    run = box(groups, group_processes=40)
    ended = run.run(
        """
import os, time
made = 0
try:
    while made < 1000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
except BlockingIOError:
    print("stopped", made)
"""
    )
    words = ended.output.split()
    assert words[0] == "stopped"
    assert 20 < int(words[1]) < 40


def test_program_within_its_limits_leaves_no_group(box, groups: Groups) -> None:
    process = box(groups, group_processes=40, group_memory_bytes=500 * MIB).start("print('fine')")
    assert process.wait(60)
    assert process.status == 0
    assert not process.group.ran_out_of_memory
    assert not process.group.folder.exists()
