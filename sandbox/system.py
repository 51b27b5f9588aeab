"""What every sandbox sees of this machine: its libraries and this Python, read-only."""

import sys
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime", "/etc/mime.types", "/etc/fonts")
"""Of /etc, no more: names of accounts and keys have no place in a sandbox."""
SYSFS = ("/sys/devices", "/sys/bus", "/sys/class", "/sys/dev", "/sys/module")
"""Of /sys, where there is a GPU."""
HIDDEN = ("/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/timer_list", "/proc/sysrq-trigger", "/proc/kallsyms",
          "/proc/kmsg", "/proc/slabinfo", "/proc/vmallocinfo", "/proc/iomem", "/proc/ioports")  # fmt: skip
"""Of /proc: the kernel's, and of no use to a program."""
UID = 1000
MADE_UP = {
    "/etc/passwd": f"student:x:{UID}:{UID}:student:/work:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": f"student:x:{UID}:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost gpulab\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
HOSTNAME = "gpulab"


def python_folders() -> list[Path]:
    """Where the interpreter and the installed packages are; a checkout on the path of modules is none of them."""
    found = {Path(sys.base_prefix), Path(sys.prefix), Path(sys.base_exec_prefix), *_installed()}
    outside = [path for path in found if not path.is_relative_to("/usr")]
    return sorted(
        path for path in outside if not any(path != other and path.is_relative_to(other) for other in outside)
    )


def free_place(name: str, code: Iterable[Path] = ()) -> str:
    """`name`, such as `/data`, or one beside it where this Python or the code lies below a folder of that name."""
    needed = [*python_folders(), *code]
    names = (f"{name}-{number}" if number else name for number in count())
    return next(place for place in names if not any(path.is_relative_to(place) for path in needed))


def _installed() -> Iterator[Path]:
    for entry in sys.path:
        if Path(entry).name in {"site-packages", "dist-packages"}:
            yield Path(entry).absolute()
