"""Keys, one at a time and without Enter, where there is a keyboard."""

import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

ReadKeys: TypeAlias = Callable[[float], list[str]]
"""Waits for keys, at most this number of seconds. Returns their names; empty if no key was pressed."""

NAMES = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "k": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "j": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    " ": "page down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "g": "home",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
    "G": "end",
    "q": "quit",
    "Q": "quit",
}
KEY = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])?|.", re.DOTALL)
"""One key: an escape sequence as a whole, or a character."""
MAX_READ_BYTES = 1024


@contextmanager
def keyboard() -> Iterator[ReadKeys]:
    """The terminal hands over every key at once and shows none; as it was before afterwards."""
    if not sys.stdin.isatty():
        yield _no_keys
        return
    import termios
    import tty

    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    try:
        # Ctrl-C and Ctrl-Z keep their meaning.
        tty.setcbreak(file)
        yield lambda seconds: _read(file, seconds)
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


def _read(file: int, seconds: float) -> list[str]:
    ready, _, _ = select.select([file], [], [], seconds)
    if not ready:
        return []
    typed = os.read(file, MAX_READ_BYTES)
    # A terminal that was closed reads as empty for ever.
    return named(typed.decode(errors="replace")) if typed else ["quit"]


def _no_keys(seconds: float) -> list[str]:
    time.sleep(seconds)
    return []


def named(typed: str) -> list[str]:
    """The names of the keys in what a terminal sent; unknown ones are left out."""
    return [NAMES[key] for key in KEY.findall(typed) if key in NAMES]
