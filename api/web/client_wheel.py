"""The wheel of the client, made of the package that this lab itself runs.

Nothing but the standard library makes it, so that a checkout and an image both have it; and the same files give the
same bytes, so that every process of the API states the same hash.
"""

import csv
import hashlib
import io
import tomllib
import zipfile
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gpulab
from gpulab.version import VERSION, WHEEL

PACKAGE = Path(gpulab.__file__).parent
ROOT = PACKAGE.parent
INFO = f"gpulab-{VERSION}.dist-info"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can state."""
MODE = 0o100644 << 16
FORMAT = "Wheel-Version: 1.0\nGenerator: gpulab\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True, slots=True)
class Wheel:
    name: str
    content: bytes
    sha256: str
    requires_python: str


@cache
def wheel() -> Wheel:
    """Made once a process. Raises FileNotFoundError where the project's own files are not beside the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    files = {f"gpulab/{path.relative_to(PACKAGE).as_posix()}": path.read_bytes() for path in _sources()}
    files |= {f"{INFO}/{name}": text.encode() for name, text in _information(project).items()}
    files[f"{INFO}/RECORD"] = _record(files)
    content = _zipped(files)
    return Wheel(WHEEL, content, hashlib.sha256(content).hexdigest(), project["requires-python"])


def _sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix == ".py" or path.name == "py.typed")


def _information(project: dict[str, Any]) -> dict[str, str]:
    """The files that describe the package, without the extras, which only a checkout can use."""
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {VERSION}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        *(f"License-File: {name}" for name in project["license-files"]),
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {requirement}" for requirement in project["dependencies"]),
        "Description-Content-Type: text/markdown",
    ]
    readme = (ROOT / project["readme"]).read_text(encoding="utf-8")
    scripts = "".join(f"{name} = {target}\n" for name, target in project["scripts"].items())
    licenses = {f"licenses/{name}": (ROOT / name).read_text(encoding="utf-8") for name in project["license-files"]}
    return {
        "METADATA": "\n".join(lines) + f"\n\n{readme}",
        "WHEEL": FORMAT,
        "entry_points.txt": f"[console_scripts]\n{scripts}",
        **licenses,
    }


def _record(files: dict[str, bytes]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, content in files.items():
        digest = urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={digest}", len(content)])
    rows.writerow([f"{INFO}/RECORD", "", ""])
    return text.getvalue().encode()


def _zipped(files: dict[str, bytes]) -> bytes:
    # Stored, not compressed: what zlib makes of a file differs from version to version.
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.external_attr = MODE
            archive.writestr(entry, content)
    return buffer.getvalue()
