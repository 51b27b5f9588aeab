"""Runs a module of the dashboard in Node, without a browser."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

DASHBOARD = Path(__file__).parents[3] / "dashboard"
RUN = """
import { runnerImport } from "vite";
globalThis.navigator ??= { language: "en-GB", languages: ["en-GB"] };
const [path, body] = process.argv.slice(1);
let text = "";
for await (const part of process.stdin) text += part;
const { module } = await runnerImport(path, { logLevel: "silent" });
const answer = await new Function("module", "given", `return (async () => { ${body} })()`)(module, JSON.parse(text));
process.stdout.write(JSON.stringify(answer));
"""
DEADLINE_SECONDS = 60


def run_module(path: str, body: str, given: Any = None) -> Any:
    """What `body` returns, given the `module` at `path` (below src) and what is `given`."""
    node = _node()
    if node is None or not (DASHBOARD / "node_modules" / "vite").exists():
        pytest.skip("needs Node and the dashboard's packages: make dashboard")
    done = subprocess.run(
        [node, "--input-type=module", "--eval", RUN, f"./src/{path}", body],
        cwd=DASHBOARD,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
        env=os.environ | {"NODE_NO_WARNINGS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _node() -> str | None:
    beside = Path(shutil.which("python") or "").parent / "node"
    return shutil.which("node") or (str(beside) if beside.exists() else None)
