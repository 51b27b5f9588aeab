"""`make release`: the wheel, the source archive and the images' context in build/release, each checked.

Ends with 1 and one line where something is not as it must be.
"""

import gzip
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path, PurePosixPath

from api.web.client_wheel import wheel as handed_out
from gpulab.version import VERSION, WHEEL

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "release"
SDIST = f"gpulab-{VERSION}.tar.gz"
CONTEXT = f"gpulab-{VERSION}-images.tar.gz"
BESIDE_THE_CONTEXT = ("Dockerfile", ".dockerignore", "docker-compose.yml", ".env.example", "ops")
"""What the images are built and run with, and what does not go into them."""
NEVER = ("tests/", "benchmarks/", "api/", "server/", "worker/")


class ReleaseError(Exception):
    """Something is not as a release must be."""


def main() -> int:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    try:
        check_changelog((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
        _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", OUT, ROOT)
        check_wheel((OUT / WHEEL).read_bytes())
        check_sdist(OUT / SDIST)
        check_installed(OUT / WHEEL)
        pack(OUT / CONTEXT, context_files(_tracked(), (ROOT / ".dockerignore").read_text()))
        check_context(OUT / CONTEXT)
    except ReleaseError as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    sums = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(OUT.iterdir()) if path.is_file()
    }
    lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    (OUT / "SHA256SUMS").write_text(lines)
    sys.stdout.write(lines)
    return 0


def check_changelog(text: str) -> None:
    if not re.search(rf"^## \[?{re.escape(VERSION)}\b", text, re.MULTILINE):
        raise ReleaseError(f"CHANGELOG.md has no section for {VERSION}")


def check_wheel(content: bytes) -> None:
    """It holds the package as the lab hands it out, described in the same way."""
    ours, theirs = zipfile.ZipFile(io.BytesIO(content)), zipfile.ZipFile(io.BytesIO(handed_out().content))
    if different := _package(ours) ^ _package(theirs):
        raise ReleaseError(f"the wheel and the one that the lab hands out differ in {', '.join(sorted(different))}")
    if changed := [name for name in _package(ours) if ours.read(name) != theirs.read(name)]:
        raise ReleaseError(f"the wheel and the one that the lab hands out differ in {', '.join(sorted(changed))}")
    info = f"gpulab-{VERSION}.dist-info"
    if f"{info}/licenses/LICENSE" not in ours.namelist():
        raise ReleaseError("the wheel has no LICENSE")
    built, made = (_metadata(archive.read(f"{info}/METADATA")) for archive in (ours, theirs))
    for field in ("Name", "Version", "Summary", "License-Expression", "Requires-Python"):
        if built[field] != made[field] or not built[field]:
            raise ReleaseError(
                f"{field} of the wheel is {built[field]!r}, of the one that the lab hands out {made[field]!r}"
            )
    if missing := _needed(made) ^ {line for line in _needed(built) if "extra ==" not in line}:
        raise ReleaseError(f"the two wheels need different packages: {', '.join(sorted(missing))}")


def check_sdist(path: Path) -> None:
    with tarfile.open(path) as archive:
        names = {PurePosixPath(name).relative_to(f"gpulab-{VERSION}").as_posix() for name in archive.getnames()}
    if missing := {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "gpulab/version.py"} - names:
        raise ReleaseError(f"the source archive lacks {', '.join(sorted(missing))}")
    if found := sorted(name for name in names if name.startswith(NEVER)):
        raise ReleaseError(f"the source archive holds {found[0]}")


def check_installed(wheel: Path) -> None:
    """Into an empty environment, with what it needs from the usual index."""
    folder = OUT / "fresh"
    venv.create(folder, with_pip=True, symlinks=True)
    _run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    said = _run(folder / "bin" / "gpulab", "--version").strip()
    if said != f"gpulab {VERSION}":
        raise ReleaseError(f"the installed command says {said!r}, not gpulab {VERSION}")
    shutil.rmtree(folder)


def context_files(tracked: list[str], ignored: str) -> list[str]:
    """The tracked files that the images are built from, and those that say how."""
    lines = ignored.split()
    allowed = {line[1:] for line in lines if line.startswith("!")} | set(BESIDE_THE_CONTEXT)
    left_out = tuple(line for line in lines if "*" not in line and not line.startswith(("!", "#")))
    return [
        name
        for name in tracked
        if PurePosixPath(name).parts[0] in allowed
        and not any(name == path or name.startswith(f"{path}/") for path in left_out)
    ]


def pack(path: Path, names: list[str]) -> None:
    """The same files give the same bytes."""
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name in sorted(names):
            entry = archive.gettarinfo(ROOT / name, name)
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            with (ROOT / name).open("rb") as file:
                archive.addfile(entry, file)


def check_context(path: Path) -> None:
    """Everything that the Dockerfile copies is there."""
    with tarfile.open(path) as archive:
        names = archive.getnames()
    for source in copied((ROOT / "Dockerfile").read_text()):
        if not any(name == source or name.startswith(f"{source}/") or source == "." for name in names):
            raise ReleaseError(f"the Dockerfile copies {source}, which is not in the images' context")


def copied(dockerfile: str) -> list[str]:
    """What a Dockerfile takes from its context."""
    lines = [line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY ")]
    return [source for sources in lines if not sources[0].startswith("--from=") for source in sources]


def _package(archive: zipfile.ZipFile) -> set[str]:
    return {name for name in archive.namelist() if not name.startswith(f"gpulab-{VERSION}.dist-info/")}


def _metadata(content: bytes) -> Message:
    return BytesParser().parsebytes(content)


def _needed(metadata: Message) -> set[str]:
    return {re.sub(r"\s", "", line) if "extra" not in line else line for line in metadata.get_all("Requires-Dist", [])}


def _tracked() -> list[str]:
    return [name for name in _run("git", "-C", ROOT, "ls-files", "-z").split("\0") if name]


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no words").splitlines()[-1]
        raise ReleaseError(f"{' '.join(map(str, command[:4]))} ended with {done.returncode}: {last}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
