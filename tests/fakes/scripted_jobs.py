"""Preloaded into a zygote: each job does what its `spec.json` says, without torch."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.hosting import host


def scripted(folder: Path, last_words: Callable[[str], object]) -> int:
    script: dict[str, Any] = json.loads((folder / "spec.json").read_text())
    if "daemon" in script:
        _start_daemon(folder)
    if "words" in script:
        last_words(script["words"])
    if "signal" in script:
        os.kill(os.getpid(), script["signal"])
    if "listen" in script:
        _listen(folder)
    if "hang" in script:
        time.sleep(600)
    return int(script.get("status", 0))


def _start_daemon(folder: Path) -> None:
    """As daemons do: a session, a folder, an environment and a parent of its own."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            daemon = subprocess.Popen(["sleep", "600"], env={})
            (folder / "daemon.part").write_text(f"{os.getpid()} {daemon.pid}")
            (folder / "daemon.part").rename(folder / "daemon")
            time.sleep(600)
        os._exit(0)
    os.wait()
    while not (folder / "daemon").exists():
        time.sleep(0.001)


def _listen(folder: Path) -> None:
    from multiprocessing.connection import Client, Listener

    with Listener(family="AF_UNIX") as listener:
        client = Client(listener.address)
        server = listener.accept()
        server.send(str(listener.address))
        (folder / "heard").write_text(client.recv())


host.execute = scripted
