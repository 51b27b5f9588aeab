"""What `make release` holds against its own products."""

import io
import tarfile
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from api.web.client_wheel import wheel
from gpulab.version import VERSION

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def release() -> Any:
    spec = spec_from_file_location("release", ROOT / "ops" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def rewritten(change: dict[str, bytes | None]) -> bytes:
    """The wheel with some files put in, changed or left out."""
    source = zipfile.ZipFile(io.BytesIO(wheel().content))
    files = {name: source.read(name) for name in source.namelist()} | change
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gpulab/words.py": b"# another"}, "differ in gpulab/words.py"),
        ({"gpulab/words.py": None}, "differ in gpulab/words.py"),
        ({"tests/test_x.py": b""}, "differ in tests/test_x.py"),
        ({f"gpulab-{VERSION}.dist-info/licenses/LICENSE": None}, "has no LICENSE"),
        ({f"gpulab-{VERSION}.dist-info/METADATA": b"Name: gpulab\nVersion: 9\n"}, "Version of the wheel is '9'"),
    ],
)
def test_a_wheel_that_is_not_the_labs_own_is_refused(release: Any, change: dict[str, bytes | None], words: str) -> None:
    release.check_wheel(rewritten({}))
    with pytest.raises(release.ReleaseError, match=words):
        release.check_wheel(rewritten(change))


def test_the_changelog_must_have_the_version(release: Any) -> None:
    release.check_changelog(f"# Changelog\n\n## [{VERSION}] - 2026-11-30\n")
    release.check_changelog(f"## {VERSION}\n")
    with pytest.raises(release.ReleaseError, match=VERSION):
        release.check_changelog(f"## Unreleased\nthe version {VERSION}\n## {VERSION}0\n")


def test_the_images_context_has_all_that_is_copied_and_nothing_else(release: Any, tmp_path: Path) -> None:
    tracked = [path.relative_to(ROOT).as_posix() for path in (ROOT / "gpulab").rglob("*.py")]
    tracked += [
        "tests/lab.py",
        "docs/cli.md",
        "benchmarks/screen.py",
        "dashboard/dist/index.html",
        "dashboard/package.json",
        "Dockerfile",
    ]
    names = release.context_files(tracked, (ROOT / ".dockerignore").read_text())
    assert {"tests/lab.py", "benchmarks/screen.py", "dashboard/dist/index.html"}.isdisjoint(names)
    assert {"gpulab/version.py", "docs/cli.md", "dashboard/package.json", "Dockerfile"} <= set(names)
    for path in (tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"):
        release.pack(path, [name for name in names if (ROOT / name).exists() and name.startswith("gpulab")])
    assert (tmp_path / "a.tar.gz").read_bytes()[12:] == (tmp_path / "b.tar.gz").read_bytes()[12:]
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert {entry.mtime for entry in archive} == {0}
    with pytest.raises(release.ReleaseError, match="the Dockerfile copies"):
        release.check_context(tmp_path / "a.tar.gz")


def test_what_a_dockerfile_takes_from_its_context_is_read(release: Any) -> None:
    text = "FROM x\nCOPY a b c ./\nCOPY --from=pages /dist dist\nCOPY . /app\nRUN cp d e\n"
    assert release.copied(text) == ["a", "b", "c", "."]
