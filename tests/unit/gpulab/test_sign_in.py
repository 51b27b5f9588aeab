"""`gpulab sign-in`: once, then every command knows the lab and the user."""

import io
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gpulab.addresses import PAGES
from tests.unit.gpulab.command import Ran
from tests.unit.gpulab.stub_lab import TOKEN, StubLab

ROUTER = Path(__file__).parents[3] / "dashboard" / "src" / "router.tsx"


@pytest.fixture
def address(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> str:
    """The lab's, which no variable of the shell names."""
    import os

    found = os.environ["GPULAB_URL"]
    monkeypatch.delenv("GPULAB_URL")
    monkeypatch.delenv("GPULAB_TOKEN")
    return found


@pytest.fixture
def type_token(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_later_commands_know_the_lab_and_the_user(
    run: Callable[..., Ran], stub: StubLab, address: str, type_token: Callable[[str], None], tmp_path: Path
) -> None:
    stub.add(name="baseline")
    type_token(f"  {TOKEN}\r\n")
    ran = run("sign-in", f"{address}/jobs?state=failed")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Signed in to {address} as ")
    assert "`gpulab assignments`" in ran.out
    assert "baseline" in run("status").out
    folder = tmp_path / ".config" / "gpulab"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}

    assert run("sign-out").out.startswith("Signed out.")
    assert not list(folder.iterdir())
    assert run("sign-out").out == "Nothing is saved on this computer.\n"


def test_a_readable_file_from_before_does_not_get_the_token(
    run: Callable[..., Ran], address: str, type_token: Callable[[str], None], tmp_path: Path
) -> None:
    file = tmp_path / ".config" / "gpulab" / "token"
    file.parent.mkdir(parents=True)
    file.write_text("glab_old")
    file.chmod(0o644)
    type_token(TOKEN)
    assert run("sign-in", address).code == 0
    assert (file.read_text().strip(), stat.S_IMODE(file.stat().st_mode)) == (TOKEN, 0o600)


@pytest.mark.parametrize(("typed", "code"), [("glab_wrong", 3), ("", 2), ("two words", 2)])
def test_a_token_that_does_not_work_is_not_kept(
    run: Callable[..., Ran], address: str, type_token: Callable[[str], None], tmp_path: Path, typed: str, code: int
) -> None:
    type_token(typed)
    assert run("sign-in", address).code == code
    assert not (tmp_path / ".config").exists()


def test_it_says_which_variable_comes_before_what_was_saved(
    run: Callable[..., Ran],
    address: str,
    type_token: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPULAB_URL", "http://other.example.org")
    type_token(TOKEN)
    ran = run("sign-in", address)
    assert ran.code == 0
    assert "GPULAB_URL is set in this shell and comes first" in ran.err
    assert "GPULAB_TOKEN" not in ran.err


def test_the_address_of_any_page_may_be_pasted() -> None:
    routes = set(re.findall(r'path: "/([^/$"]+)', ROUTER.read_text(encoding="utf-8")))
    assert len(routes) > 10
    assert routes <= PAGES
