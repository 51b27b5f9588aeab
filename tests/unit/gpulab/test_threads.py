"""A part of a process that dies takes the process along, with its reason and a status that is not 0."""

import subprocess
import sys

import pytest

HEAD = """
import asyncio, os, signal, sys, threading, time
from gpulab import threads
from gpulab.threads import VitalThread, end_process, exit_status, vital, vital_task, watch_threads

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())

def fail():
    raise PermissionError("no entry to /data/secret")
"""


def run(body: str) -> "subprocess.CompletedProcess[str]":
    code = HEAD + body
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("death", "words"),
    [
        ("VitalThread('agent', fail).start()", "the thread agent ended unexpectedly: PermissionError: no entry"),
        ("VitalThread('agent', fail, until=threading.Event()).start()", "no entry to /data/secret"),
        ("VitalThread('agent', int, until=threading.Event()).start()", "although it was not stopped"),
        ("VitalThread('agent', lambda: sys.exit(0)).start()", "SystemExit"),
        ("watch_threads(); threading.Thread(target=fail, name='lib').start()", "the thread lib ended unexpectedly"),
        ("with vital('the start'): fail()", "the start ended unexpectedly: PermissionError"),
    ],
)
def test_program_stops_in_order_and_says_why(death: str, words: str) -> None:
    done = run(f"{death}\nassert stop.wait(20)\nprint('stopped in order')\nsys.exit(exit_status())")
    assert words in done.stderr
    assert (done.returncode, done.stdout) == (1, "stopped in order\n")


def test_program_that_does_not_stop_is_ended() -> None:
    done = run("threads.STOP_SECONDS = 0.1\nVitalThread('agent', fail).start()\ntime.sleep(25)")
    assert done.returncode == 70
    assert "no entry" in done.stderr


def test_program_without_a_handler_ends_at_once() -> None:
    done = run("signal.signal(signal.SIGTERM, signal.SIG_DFL)\nVitalThread('agent', fail).start()\ntime.sleep(25)")
    assert done.returncode == -15
    assert "no entry" in done.stderr


def test_thread_that_was_asked_to_end_may() -> None:
    done = run(
        "asked = threading.Event(); asked.set()\n"
        "for t in (VitalThread('a', int, until=asked), VitalThread('b', int)): t.start(); t.join()\n"
        "print(stop.is_set()); sys.exit(exit_status())"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


@pytest.mark.parametrize(
    ("work", "until", "status"),
    [("fails", "None", 1), ("returns", "lambda: False", 1), ("returns", "lambda: True", 0), ("returns", "None", 0)],
)
def test_tasks_are_held_to_the_same(work: str, until: str, status: int) -> None:
    done = run(f"""
async def fails():
    raise ValueError("not a notice")

async def returns():
    pass

async def main():
    task = vital_task("listener", {work}(), until={until})
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.05)

asyncio.run(main())
sys.exit(exit_status())
""")
    assert done.returncode == status, done.stderr
    assert ("the task listener ended unexpectedly" in done.stderr) == bool(status)


def test_cancelled_task_ends_nothing() -> None:
    done = run("""
async def main():
    task = vital_task("listener", asyncio.sleep(60), until=lambda: False)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
sys.exit(exit_status())
""")
    assert (done.returncode, done.stderr) == (0, "")
