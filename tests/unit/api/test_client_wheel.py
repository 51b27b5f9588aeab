"""The wheel that the lab hands out."""

import base64
import csv
import hashlib
import io
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

from api.web import client_wheel
from gpulab.version import VERSION, WHEEL

ROOT = Path(__file__).parents[3]


def test_the_same_files_give_the_same_bytes() -> None:
    first = client_wheel.wheel()
    client_wheel.wheel.cache_clear()
    assert client_wheel.wheel() == first
    assert hashlib.sha256(first.content).hexdigest() == first.sha256


def test_it_holds_the_package_its_licence_and_a_true_record() -> None:
    archive = zipfile.ZipFile(io.BytesIO(client_wheel.wheel().content))
    info = f"gpulab-{VERSION}.dist-info"
    names = set(archive.namelist())
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gpulab").rglob("*.py")}
    assert names == sources | {
        "gpulab/py.typed",
        *(f"{info}/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "RECORD", "licenses/LICENSE")),
    }
    rows = list(csv.reader(io.StringIO(archive.read(f"{info}/RECORD").decode())))
    assert {name for name, _, _ in rows} == names
    for name, digest, size in rows[:-1]:
        content = archive.read(name)
        encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert (digest, size) == (f"sha256={encoded}", str(len(content)))


def test_its_metadata_is_that_of_the_project() -> None:
    archive = zipfile.ZipFile(io.BytesIO(client_wheel.wheel().content))
    found = Parser().parsestr(archive.read(f"gpulab-{VERSION}.dist-info/METADATA").decode())
    assert (found["Name"], found["Version"], found["License-Expression"]) == ("gpulab", VERSION, "MIT")
    needed = {re.match(r"[a-z]+", line)[0] for line in found.get_all("Requires-Dist")}  # type: ignore[index] # each begins with a name
    assert needed == {"httpx", "pathspec", "pydantic", "pyyaml", "rich", "typer"}


def test_what_was_installed_from_it_runs(tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(client_wheel.wheel().content)
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target]
    subprocess.run([*pip, tmp_path / WHEEL], check=True, timeout=100)
    code = "import gpulab, gpulab.cli; print(gpulab.__file__); gpulab.cli.main(['--version'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert done.stdout.splitlines() == [str(target / "gpulab" / "__init__.py"), f"gpulab {VERSION}"]
