"""The filter of system calls, built by libseccomp: what is not allowed by name does not exist.

A call of a newer kernel is refused until it is allowed here.
"""

import ctypes
import errno
import os
from functools import cache

from sandbox.syscalls import ALLOWED, NOT_SUPPORTED, REFUSED

ACT_ALLOW = 0x7FFF0000
ACT_ERRNO = 0x00050000
CMP_MASKED_EQ = 7
NEW_NAMESPACES = 0x7E020080
"""Every CLONE_NEW* flag of clone(2)."""
SOCKET_FAMILIES = (1, 2, 10, 16)
"""Unix, IPv4, IPv6 and netlink. Others, such as vsock, leave the network namespace or are seldom looked after."""
PERSONALITIES = (0x0, 0xFFFFFFFF)
"""The usual one, and the question which one it is."""
PRCTL_OPTIONS = (
    1, 2, 3, 7, 15, 16, 21, 22, 23, 25, 26, 29, 30, 33, 34, 36, 37, 38, 39, 40, 41, 42, 47, 50, 51, 52, 53, 63, 64,
    0x53564D41, 0x59616D61,
)  # fmt: skip
"""Absent is PR_SET_DUMPABLE, by which a process hides its files from its owner's eyes, and what needs privileges."""

FCNTL_COMMANDS = (
    *range(17), 36, 37, 38, 1025, 1027, 1028, 1030, 1031, 1032, 1033, 1034, 1035, 1036, 1037, 1038,
)  # fmt: skip
"""F_SETLEASE and F_NOTIFY are left out: a lease on a file makes the worker wait when it opens the file."""


class SeccompError(Exception):
    """libseccomp is missing or refuses."""


class _Compare(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def filter_descriptor() -> int:
    """A new descriptor from which bubblewrap reads the filter; the caller closes it."""
    descriptor = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    os.write(descriptor, _program())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


@cache
def _program() -> bytes:
    """The compiled filter: the same for all."""
    library = _library()
    context = library.seccomp_init(_refuse(errno.ENOSYS))
    if not context:
        raise SeccompError("libseccomp could not make a filter")
    try:
        _fill(_Rules(library, context))
        return _exported(library, context)
    finally:
        library.seccomp_release(context)


def _fill(rules: "_Rules") -> None:
    for name in ALLOWED:
        rules.add(ACT_ALLOW, name)
    for name in REFUSED:
        rules.add(_refuse(errno.EPERM), name)
    for name in NOT_SUPPORTED:
        rules.add(_refuse(errno.EOPNOTSUPP), name)
    # The flags of clone3 lie in memory, where no filter sees them; programs fall back to clone.
    rules.add(ACT_ALLOW, "clone", _Compare(0, CMP_MASKED_EQ, NEW_NAMESPACES, 0))
    for family in SOCKET_FAMILIES:
        rules.add(ACT_ALLOW, "socket", _Compare(0, CMP_MASKED_EQ, 0xFFFFFFFF, family))
    for option in PRCTL_OPTIONS:
        rules.add(ACT_ALLOW, "prctl", _Compare(0, CMP_MASKED_EQ, 0xFFFFFFFF, option))
    for command in FCNTL_COMMANDS:
        rules.add(ACT_ALLOW, "fcntl", _Compare(1, CMP_MASKED_EQ, 0xFFFFFFFF, command))
    for persona in PERSONALITIES:
        rules.add(ACT_ALLOW, "personality", _Compare(0, CMP_MASKED_EQ, 0xFFFFFFFF, persona))


class _Rules:
    def __init__(self, library: ctypes.CDLL, context: int) -> None:
        self._library = library
        self._context = context

    def add(self, action: int, name: str, *compares: _Compare) -> None:
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return  # this architecture or this libseccomp does not know it: it stays refused
        array = (_Compare * len(compares))(*compares)
        failed = self._library.seccomp_rule_add_array(self._context, action, number, len(compares), array)
        if failed:
            raise SeccompError(f"libseccomp refused the rule for {name}: {os.strerror(-failed)}")


def _exported(library: ctypes.CDLL, context: int) -> bytes:
    descriptor = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        failed = library.seccomp_export_bpf(context, descriptor)
        if failed:
            raise SeccompError(f"libseccomp could not export the filter: {os.strerror(-failed)}")
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise SeccompError("libseccomp.so.2 is not installed") from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Compare)
    ]  # fmt: skip
    return library


def _refuse(number: int) -> int:
    return ACT_ERRNO | number
