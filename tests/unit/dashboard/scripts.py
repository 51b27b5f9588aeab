"""Runs a module of the dashboard in Node, without a browser."""

import atexit
import json
import os
import select
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DASHBOARD = Path(__file__).parents[3] / "dashboard"
RUNNER = Path(__file__).with_name("runner.js").read_text()
DEADLINE_SECONDS = 60


def run_module(
    path: str,
    body: str,
    given: Any = None,
    *,
    browser: tuple[str | None, list[str] | None] = ("en-GB", ["en-GB"]),
    zone: str = "UTC",
) -> Any:
    """What `body` returns, given the `module` at `path` (below src) and what is `given`.

    `browser` is its language and its languages, `zone` its time zone.
    """
    node = _node()
    if node is None or not (DASHBOARD / "node_modules" / "vite").exists():
        pytest.skip("needs Node and the dashboard's packages: make dashboard")
    said = _runner(node, zone).ask({"path": path, "body": body, "given": given, "browser": browser})
    assert "error" not in said, said["error"]
    return json.loads(said["answer"])


class Runner:
    """A process that bundles modules, each once, and runs them. It ends with this one, which closes its input."""

    def __init__(self, node: str, zone: str) -> None:
        self._process = subprocess.Popen(
            [node, "--input-type=module", "--eval", RUNNER],
            cwd=DASHBOARD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"NODE_NO_WARNINGS": "1", "TZ": zone},
        )
        atexit.register(self._end)

    def ask(self, call: dict[str, Any]) -> dict[str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(call).encode() + b"\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], DEADLINE_SECONDS)[0]:
            self._process.kill()
            raise TimeoutError(f"{call['path']} gave no answer within {DEADLINE_SECONDS} s")
        said: dict[str, str] = json.loads(self._process.stdout.readline())
        return said

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()


@cache
def _runner(node: str, zone: str) -> Runner:
    return Runner(node, zone)


def _node() -> str | None:
    beside = Path(shutil.which("python") or "").parent / "node"
    return shutil.which("node") or (str(beside) if beside.exists() else None)
