"""Each abuse is tried for real, from inside."""

import os
import signal
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest

from sandbox import SandboxProcess
from sandbox.system import python_folders
from tests.unit.sandbox.conftest import Box

TRY = """
import os, sys, ctypes
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, action):
    try:
        print(name, "DONE", action())
    except BaseException as error:
        print(name, "refused", type(error).__name__, getattr(error, "errno", ""))
def call(number, *arguments):
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), "")
    return "DONE"
"""


def refused(output: str, *names: str) -> bool:
    """Whether each of these was tried and none of them went through."""
    said = {line.split()[0]: line.split()[1] for line in output.splitlines() if len(line.split()) > 1}
    assert said == dict.fromkeys(names, "refused"), output
    return True


def test_the_system_cannot_be_written(box) -> None:
    ended = box().run(
        TRY
        + """
for path in ("/x", "/usr/x", "/etc/x", "/dev/x", "/program/x", "/root/x", "/proc/sys/kernel/core_pattern",
             "/proc/sys/vm/panic_on_oom", "/proc/self/oom_score_adj", "/proc/sysrq-trigger", sys.prefix + "/x"):
    attempt(path, lambda: open(path, "w").write("1"))
"""
    )
    assert ended.status == 0
    assert "DONE" not in ended.output


def test_its_own_folder_can_be_written(box) -> None:
    run = box()
    assert run.run("open('answer', 'w').write('42'); open('/tmp/a', 'w'); open('/dev/shm/a', 'w')").status == 0
    assert (run.folder / "work" / "answer").read_text() == "42"


def test_code_below_the_temporary_folder_is_there_and_nothing_else_of_it(box) -> None:
    """A checkout may lie anywhere, also where programs get a folder of their own."""
    with TemporaryDirectory(dir="/tmp") as name:
        code = Path(name, "packages")
        code.mkdir()
        (code / "lab.py").write_text("ANSWER = 42")
        Path(name, "secret").write_text("glab_secret")
        ended = box().run(
            f"""
import os, sys
sys.path.insert(0, {str(code)!r})
import lab
print(lab.ANSWER, os.listdir({name!r}))
open("/tmp/mine", "w")
""",
            code=(code,),
        )
        assert ended.status == 0, ended.output
        assert ended.output == "42 ['packages']\n"
        assert not Path("/tmp/mine").exists()


def test_files_of_others_are_not_there(box, tmp_path_factory) -> None:
    secret = tmp_path_factory.mktemp("other-run") / "token"
    secret.write_text("glab_secret")
    others = ("/etc/shadow", "/etc/ssh", "/home", "/var", "/run", "/opt", "/srv", "/mnt", "/root/.ssh", "/root/.bashrc")
    # A folder above this Python is there, with nothing else in it.
    hidden = [str(secret), *(p for p in others if not any(code.is_relative_to(p) for code in python_folders()))]
    ended = box().run(
        f"""
import os
print([path for path in {hidden} if os.path.exists(path)])
print(sorted(os.listdir("/etc")))
"""
    )
    found, etc = ended.output.splitlines()
    assert found == "[]"
    assert "shadow" not in etc
    assert "secret" not in ended.output


def test_the_environment_of_the_worker_is_not_there(box, monkeypatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("GPULAB_NODE_TOKEN", "secret")
    ended = box().run(
        """
import os, glob
print(sorted(os.environ))
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    print(path, open(path, "rb").read())
print(os.listdir("/proc/self/fd"))
"""
    )
    assert "secret" not in ended.output
    assert ended.output.splitlines()[0] == "['HOME', 'LC_CTYPE', 'PATH', 'PWD', 'PYTHONDONTWRITEBYTECODE']"
    assert ended.output.splitlines()[-1] == "['0', '1', '2', '3']"


def test_processes_of_others_can_be_neither_seen_nor_signalled(box) -> None:
    ended = box().run(
        f"""
import os
print(sorted(int(name) for name in os.listdir("/proc") if name.isdigit()))
for pid in ({os.getpid()}, {os.getppid()}, -1):
    try:
        os.kill(pid, 9)
    except OSError as error:
        print(error)
"""
    )
    assert ended.output.splitlines()[0] == "[1, 2]"
    assert "No such process" in ended.output


def test_there_is_no_network(box, tmp_path) -> None:
    path = tmp_path / "database.sock"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(path))
        local.listen()
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(b"\0gpulab-test-of-the-sandbox")
        abstract.listen()
        ended = box().run(
            TRY
            + f"""
import socket
port = {server.getsockname()[1]}
attempt("loopback", lambda: socket.create_connection(("127.0.0.1", port), 2))
attempt("outside", lambda: socket.create_connection(("1.1.1.1", 53), 2))
attempt("socket-file", lambda: socket.socket(socket.AF_UNIX).connect({str(path)!r}))
attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect(b"\\0gpulab-test-of-the-sandbox"))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("alg", lambda: socket.socket(38, socket.SOCK_SEQPACKET))
"""
        )
        abstract.close()
    names = ("loopback", "outside", "socket-file", "abstract", "raw", "packet", "vsock", "alg")
    assert refused(ended.output, *names)


def test_its_own_loopback_works(box) -> None:
    """The kernel of a notebook talks over it."""
    ended = box().run(
        """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname(), 5) as client:
        client.sendall(b"here")
        print(server.accept()[0].recv(4))
"""
    )
    assert ended.output.strip() == "b'here'"


def test_system_calls_that_reach_further_are_refused(box) -> None:
    # x86-64's numbers; the filter itself knows calls by name.
    numbers = {
        "ptrace": 101, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
        "keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425,
        "kexec_load": 246, "init_module": 175, "finit_module": 313, "process_vm_readv": 310, "pidfd_getfd": 438,
        "clone3": 435, "memfd_create": 319, "shmget": 29, "open_by_handle_at": 304, "fsopen": 430, "open_tree": 428,
        "semget": 64, "msgget": 68,
        "reboot": 169, "swapon": 167, "personality": 135, "quotactl": 179, "memfd_secret": 447, "unknown": 9999,
    }  # fmt: skip
    ended = box().run(
        TRY
        + f"""
for name, number in {numbers!r}.items():
    attempt(name, lambda: call(number, 0x10000000, 0, 0, 0, 0))
"""
    )
    assert refused(ended.output, *numbers)


def test_calls_of_another_architecture_end_the_process(box) -> None:
    """Through the gate of 32-bit programs, and by the numbers of x32: neither is in the filter's list."""
    for code in ("b814000000cd80c3", "b8270000400f05c3"):  # getpid by int 0x80; by syscall as x32
        ended = box().run(
            f"""
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex({code!r}))
print("called", ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
"""
        )
        assert "called" not in ended.output
        assert ended.status == -signal.SIGSYS


@pytest.mark.parametrize("flag", [0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000])
def test_no_namespace_can_be_made(box, flag) -> None:
    ended = box().run(TRY + f"attempt('clone', lambda: call(56, {flag} | 17, 0, 0, 0, 0))")
    assert refused(ended.output, "clone")


def test_no_process_hides_from_the_watch(box) -> None:
    ended = box().run(
        TRY
        + """
attempt("not-dumpable", lambda: call(157, 4, 0, 0, 0, 0))
attempt("high-bits", lambda: call(157, ctypes.c_long(1 << 32 | 4), 0, 0, 0, 0))
assert libc.prctl(15, b"a-name", 0, 0, 0) == 0
"""
    )
    assert ended.status == 0
    assert refused(ended.output, "not-dumpable", "high-bits")


def test_nobody_inside_becomes_root(box) -> None:
    ended = (
        box()
        .run(
            """
import subprocess, os
print(os.getuid(), os.getgid())
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print({name: status[name].strip() for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")})
try:
    os.setuid(0)
except OSError as error:
    print("refused", error)
try:
    os.mknod("/work/disk", 0o60660, os.makedev(7, 0))
except OSError as error:
    print("refused", error)
open("/work/tool", "wb").write(open("/bin/id", "rb").read())
os.chmod("/work/tool", 0o6755)
print(subprocess.run(["/work/tool", "-u"], capture_output=True, text=True).stdout)
"""
        )
        .output.splitlines()
    )
    assert ended[0] == "1000 1000"
    assert ended[1] == str({"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"})
    assert ended[2].startswith("refused")
    assert ended[3].startswith("refused")
    assert ended[4] == "1000"


def test_a_daemon_ends_with_the_program(box) -> None:
    run = box()
    ended = run.run(
        """
import os, time, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
print("started")
"""
    )
    assert ended == type(ended)(0, "started\n")
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if _is_of(run, pid)]


def _is_of(run: Box, process: Path) -> bool:
    """Other tests have programs of their own at the same time."""
    try:
        return bytes(run.folder) in (process / "cmdline").read_bytes() and process.name != str(os.getpid())
    except OSError:
        return False


def test_ignored_requests_to_stop_are_followed_by_the_end(box) -> None:
    process = box().start(
        """
import signal, time, os
signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
os.fork()
print("ready", flush=True)
while True:
    time.sleep(60)
"""
    )
    run = box()
    _until(lambda: run.output().count("ready") == 2)
    process.stop()
    _until(lambda: "no" in run.output())
    process.kill()
    assert process.wait(5)
    assert process.status == -signal.SIGKILL
    assert run.output().count("no") == 1, "only the program itself is asked"


def test_the_status_of_a_program_is_told(box) -> None:
    assert box().run("raise SystemExit(7)").status == 7
    assert box().run("import os; os.kill(os.getpid(), 11)").status == -signal.SIGSEGV


def test_memory_of_files_is_bounded(box) -> None:
    ended = box(tmp_bytes=8 << 20, shared_memory_bytes=8 << 20).run(
        TRY
        + """
for path in ("/tmp/a", "/dev/shm/a"):
    attempt(path, lambda: open(path, "wb", 0).write(bytes(9 << 20)) == 9 << 20 or 1 / 0)
"""
    )
    assert refused(ended.output, "/tmp/a", "/dev/shm/a")


def test_limits_of_one_process(box) -> None:
    ended = box(open_files=64, file_bytes=1 << 20, data_bytes=256 << 20).run(
        TRY
        + """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
attempt("files", lambda: [open("/dev/null") for _ in range(100)])
attempt("size", lambda: os.truncate(open("/work/a", "w").name, 2 << 20))
attempt("memory", lambda: bytes(512 << 20))
attempt("raise", lambda: __import__("resource").setrlimit(7, (1000, 1000)))
attempt("core", lambda: __import__("resource").setrlimit(4, (1000, 1000)))
"""
    )
    assert refused(ended.output, "files", "size", "memory", "raise", "core")


def test_it_ends_with_the_thread_that_started_it(box) -> None:
    """As it does when its worker is killed."""
    run = box()
    found: list[SandboxProcess] = []

    def body() -> None:
        # It ends at once: nothing says that the program has begun by then.
        found.append(run.start("import time; print('ready', flush=True); time.sleep(600)"))

    thread = Thread(target=body)
    thread.start()
    thread.join()
    assert found[0].wait(10)
    assert not Path(f"/proc/{found[0].init_pid}/cwd").exists()


def test_torch_runs(box) -> None:
    ended = box().run("import torch; print(torch.ones(3).sum().item())")
    assert ended.output.strip() == "3.0"


def _until(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
