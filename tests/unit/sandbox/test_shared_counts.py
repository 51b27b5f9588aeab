"""What the kernel counts for a whole machine, or for nobody, cannot be taken from inside."""

from tests.unit.sandbox.test_containment import TRY, refused


def test_what_others_share_or_nothing_counts_is_refused(box) -> None:
    """A lease holds up the next reader; attributes of files in /tmp take memory; watches are few on a machine."""
    ended = box().run(
        TRY
        + """
open("/work/f", "w"), open("/tmp/f", "w")
attempt("lease", lambda: call(72, os.open("/work/f", os.O_RDWR), 1024, 1))
attempt("high-bits", lambda: call(72, os.open("/work/f", os.O_RDWR), ctypes.c_long(1 << 32 | 1024), 1))
attempt("notify", lambda: call(72, os.open("/work", os.O_RDONLY), 1026, 2))
attempt("attribute", lambda: os.setxattr("/tmp/f", "user.a", bytes(60000)))
attempt("attribute-of-open", lambda: os.setxattr(os.open("/tmp/f", os.O_RDWR), "user.a", b"1"))
attempt("attribute-of-link", lambda: os.setxattr("/tmp/f", "user.a", b"1", follow_symlinks=False))
attempt("inotify", lambda: call(294, 0))
attempt("queue", lambda: call(240, b"/x", 0o102, 0o600, 0))
attempt("timers", lambda: [call(222, 0, 0, ctypes.byref(ctypes.c_int())) for _ in range(10_000)])
"""
    )
    names = ("lease", "high-bits", "notify", "attribute", "attribute-of-open", "attribute-of-link", "inotify", "queue")
    assert refused(ended.output, *names, "timers")


def test_files_are_locked_copied_and_passed_as_ever(box) -> None:
    ended = box().run(
        """
import fcntl, os, shutil, socket
with open("f", "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    fcntl.lockf(file, fcntl.LOCK_EX)
    fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_NONBLOCK)
    fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 0)
shutil.copy2("f", "g")
ours, theirs = socket.socketpair()
socket.send_fds(ours, [b"x"], [1])
print(len(socket.recv_fds(theirs, 1, 1)[1]))
"""
    )
    assert (ended.status, ended.output) == (0, "1\n")
