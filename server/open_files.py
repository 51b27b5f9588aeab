"""How many files, sockets included, a process may have open: each stream, connection and job takes some."""

import resource

MAX_USEFUL = 65_536
"""More would only slow down programs that close every number there is."""
MIN_COMFORTABLE = 4096
"""For the streams of a class and its jobs."""


def file_limits() -> tuple[int, int]:
    """What holds now, and what it may be raised to without being root."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def raise_file_limit() -> int:
    """Raise the limit as far as it may be and is of use, also for the children to come; returns what holds."""
    soft, hard = file_limits()
    wanted = MAX_USEFUL if hard == resource.RLIM_INFINITY else min(hard, MAX_USEFUL)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MAX_USEFUL if soft == resource.RLIM_INFINITY else soft
