"""Clients that others generate from the contract are made without a complaint, and compile."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from api.print_openapi import document

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / "dashboard" / "node_modules" / ".bin"
# It wants an older typer than ours, so `make test-unit` gives it an environment of its own.
WITH_GENERATOR = f"{ROOT / 'build' / 'openapi-python-client' / 'bin'}:{os.environ['PATH']}"
TYPESCRIPT = (
    "--noEmit",
    "--strict",
    "--target",
    "es2022",
    "--module",
    "esnext",
    "--moduleResolution",
    "bundler",
    "--skipLibCheck",
)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contract") / "openapi.json"
    path.write_bytes(document())
    return path


def tool(name: str) -> str:
    found = shutil.which(name, path=str(TOOLS)) or shutil.which(name)
    if found is None or shutil.which("node") is None:
        pytest.skip(f"{name} is not installed: npm ci in dashboard/")
    return found


def run(*argv: str | Path, cwd: Path) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_typescript(contract: Path, tmp_path: Path) -> None:
    types, client = tmp_path / "types.ts", tmp_path / "client"
    said = run(tool("openapi-typescript"), contract, "--output", types, cwd=tmp_path)
    said += run(tool("openapi-ts"), "--input", contract, "--output", client, cwd=tmp_path)
    assert "warn" not in said.lower()
    files = sorted(client.rglob("*.ts"))
    assert len(files) > 3
    run(tool("tsc"), *TYPESCRIPT, types, *files, cwd=tmp_path)


@pytest.mark.skipif(
    shutil.which("openapi-python-client", path=WITH_GENERATOR) is None,
    reason="openapi-python-client is not installed: make generator",
)
def test_openapi_python_client(contract: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", WITH_GENERATOR)
    said = run("openapi-python-client", "generate", "--path", contract, "--meta", "none", cwd=tmp_path)
    # The generator knows no type for a picture or an archive, and leaves these two bodies out.
    found = re.findall(r"(?i)^.*(?:warning parsing|error|unable|unsupported).*$", said, re.MULTILINE)
    parsed = [line for line in found if "Unsupported content_type" not in line]
    assert [line.partition(" within ")[0] for line in parsed] == [
        "WARNING parsing GET /v1/experiments/{slug}/picture",
        "WARNING parsing GET /v1/users/{user_id}/export",
    ]
    assert {line.partition("content_type ")[2].partition(")")[0] for line in found if line not in parsed} == {
        "image/svg+xml",
        "application/zip",
    }
    (package,) = (path.parent for path in tmp_path.glob("*/client.py"))
    run(sys.executable, "-m", "compileall", "-q", package, cwd=tmp_path)
    assert len(list((package / "api").rglob("*.py"))) > 60


SEARCH = """
const wrong = [], walk = (node) => {
  for (const [key, value] of Object.entries(node ?? {})) {
    if (key === "pattern" && typeof value === "string") {
      try { new RegExp(value, "u") } catch { wrong.push(value) }
    } else if (typeof value === "object") walk(value)
  }
}
walk(JSON.parse(require("fs").readFileSync(process.argv[1])))
console.log(JSON.stringify(wrong))
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_patterns_are_regular_expressions_of_javascript_too(contract: Path, tmp_path: Path) -> None:
    assert run("node", "-e", SEARCH, contract, cwd=tmp_path).strip() == "[]"
