"""How a program learns that its run shall end: SIGTERM, of which `run.should_stop()` is the polite form.

A program that asks `should_stop` decides itself when it ends. One that never asks is interrupted, as by Ctrl-C.
"""

import os
import signal
import threading
from types import FrameType


class Stop:
    """What was asked of this process, and what it heard."""

    is_asked = False
    """Whether SIGTERM came."""
    is_listening = False
    """Whether the program has ever asked."""
    is_heard = False
    """Whether the program asked, and was answered yes."""


def listen() -> None:
    """From now on SIGTERM is heard here; forked processes hear it as any process does."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_signal)
        os.register_at_fork(after_in_child=_forget)


def should_stop() -> bool:
    """Whether the run was asked to end."""
    if not Stop.is_listening:
        Stop.is_listening = True
        listen()
    Stop.is_heard = Stop.is_asked
    return Stop.is_asked


def _on_signal(number: int, frame: FrameType | None) -> None:
    del number, frame
    Stop.is_asked = True
    if not Stop.is_listening:
        raise KeyboardInterrupt


def _forget() -> None:
    """A worker process of a data loader must end when its parent says so."""
    if signal.getsignal(signal.SIGTERM) is _on_signal:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
