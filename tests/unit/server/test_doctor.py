import importlib.metadata
import json
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
import typer
from typer.testing import CliRunner

import server.doctor
from server.commands.doctor import doctor
from server.doctor import Examined, Finding, Status, examine
from server.embedded import EmbeddedPostgres, EmbeddedRedis

PROBES = {
    "torch": {"version": "2.14.1", "built_for": "13.0", "gpus": []},
    "measuring": {"absent": "no driver"},
    "sandbox": {"reason": None, "mend": None, "as_root": False},
}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without servers of its own, whose probes answer at once."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr(
        server.doctor, "_probe", lambda module, _: next(PROBES[name] for name in PROBES if name in module)
    )


@pytest.fixture
def what(tmp_path: Path) -> Examined:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    return Examined(tmp_path / "lab", "127.0.0.1", port)


def find(what: Examined, check: str) -> Finding:
    return next(finding for finding in examine(what) if finding.check == check)


def test_machine_with_everything_has_nothing_to_mend_but_the_gpu_and_the_clock(what: Examined) -> None:
    troubled = {finding.check for finding in examine(what) if finding.status is not Status.OK}
    assert troubled <= {"gpu", "clock", "disk"}
    assert find(what, "gpu").found == "no driver"
    assert find(what, "torch").found == "2.14.1, CPU only (built for CUDA 13.0)"


def test_every_trouble_says_how_to_mend_it(what: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    troubled = [finding for finding in examine(what) if finding.status is not Status.OK]
    assert {"extra server", "extra worker", "postgresql", "redis"} <= {finding.check for finding in troubled}
    assert all(finding.mend for finding in troubled if finding.check != "gpu")


def test_half_an_extra_fails_and_names_what_is_missing(what: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "celery" else find_spec(name))
    assert find(what, "extra server") == Finding(
        "extra server",
        Status.FAIL,
        "incomplete: no celery",
        "pip install -e '.[server]' in a checkout of the project",
    )


def test_taken_port_fails(what: Examined) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", what.port))
        finding = find(Examined(what.folder, "127.0.0.1", what.port), f"port {what.port}")
    assert finding.status is Status.FAIL
    assert "--port" in (finding.mend or "")


def test_file_that_another_account_left_in_the_folder_fails_with_the_command_that_takes_it_over(
    what: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    (what.folder / "logs").mkdir(parents=True)
    left = what.folder / "logs" / "api.log"
    left.touch()
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != left)
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 4321)
    found = find(what, "folder")
    assert (found.status, found.found) == (Status.FAIL, f"{left} cannot be written: Permission denied")
    assert f"sudo chown -R {os.getuid() + 4321}" in str(found.mend)


def test_disk_for_few_more_files_is_a_warning(what: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_files=10**6, f_favail=12))
    assert find(what, "inodes").found == "only 12 more files fit on its disk"


def test_folder_that_is_a_file_fails(what: Examined) -> None:
    what.folder.write_text("")
    assert find(what, "folder").status is Status.FAIL


def test_sandbox_that_cannot_be_made_says_how_to_mend_it(what: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"reason": "bubblewrap is not installed", "mend": "install it", "as_root": False}
    monkeypatch.setitem(PROBES, "sandbox", absent)
    found = find(what, "sandbox")
    assert (found.status, found.mend) == (Status.WARN, "install it")
    assert "bubblewrap is not installed" in found.found


def test_sandboxes_that_would_run_as_root_are_named(what: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROBES, "sandbox", {"reason": None, "mend": None, "as_root": True})
    assert "a separate account" in (find(what, "sandbox").mend or "")


def test_old_pynvml_that_shadows_the_new_one_fails(what: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        version = "11.5.3"
        files = (Path("pynvml.py"),)

    known = importlib.metadata.distribution
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Old() if name == "pynvml" else known(name))
    finding = find(what, "pynvml")
    assert finding.status is Status.FAIL
    assert "pip uninstall pynvml" in (finding.mend or "")


def test_torch_that_cannot_be_imported_fails_with_its_last_words(
    what: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROBES, "torch", {"error": "ImportError: libcudart.so: no such file"})
    finding = find(what, "torch")
    assert finding.status is Status.FAIL
    assert "libcudart.so" in finding.found


def test_sick_gpu_fails_and_a_healthy_one_does_not(what: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = [["T4", 16 * 2**30, "590.1", True, None], ["T4", None, "590.1", False, "fell off the bus"]]
    monkeypatch.setitem(PROBES, "measuring", {"gpus": gpus})
    found = [finding for finding in examine(what) if finding.check == "gpu"]
    assert found == [
        Finding("gpu", Status.OK, "T4, 16.0 GiB, driver 590.1"),
        Finding("gpu", Status.FAIL, "T4, memory unknown, driver 590.1", "fell off the bus"),
    ]


def test_broken_check_is_a_finding_and_hides_no_other(what: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise OSError("stale file handle")

    monkeypatch.setattr("shutil.disk_usage", broken)
    findings = list(examine(what))
    assert Finding("folder", Status.FAIL, "the check failed: OSError: stale file handle") in findings
    assert any(finding.check == "torch" for finding in findings)


def test_servers_of_ones_own_are_asked(what: Examined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        EmbeddedPostgres(tmp_path / "pg", durable=False) as postgres,
        EmbeddedRedis(tmp_path / "redis") as redis,
    ):
        monkeypatch.setenv("DATABASE_URL", postgres.url)
        monkeypatch.setenv("REDIS_URL", redis.url)
        found = {finding.check: finding for finding in examine(what)}
        monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", 170004)
        old = find(what, "postgresql")
    assert found["postgresql"].status is Status.OK
    assert found["clock against the database"].status is Status.OK
    assert found["redis"].status is Status.OK
    assert "embedded postgresql" not in found
    assert old.status is Status.FAIL
    assert old.found == "version 17.4"


def test_command_prints_each_finding_and_exits_with_1_on_a_failure(what: Examined) -> None:
    app = typer.Typer()
    app.command()(doctor)
    flags = ["--data", str(what.folder), "--port", str(what.port)]
    good = CliRunner().invoke(app, flags)
    assert good.exit_code == 0, good.output
    assert f"python: {'.'.join(map(str, sys.version_info[:3]))}" in good.output
    what.folder.write_text("")
    bad = CliRunner().invoke(app, [*flags, "--json"])
    assert bad.exit_code == 1
    assert {"folder": "fail"}.items() <= {row["check"]: row["status"] for row in json.loads(bad.output)}.items()
