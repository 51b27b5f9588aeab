"""systemd units that `gpulab service install` writes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gpulab.cli import assemble
from server import service_units
from server.service_units import MARK, Service, unit_text

AWKWARD = ("up", "--data", '/srv/a lab/100%/$HOME/"x"', "--backup-to", "C:\\backups")


def service(*command: str, is_system: bool = False) -> Service:
    return Service(command, is_system, "gpulab", Path("/srv/100% mine"))


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(service_units, "SYSTEM_UNITS", tmp_path / "system")
    monkeypatch.setattr(service_units, "systemd_runs", lambda: False)
    return tmp_path


def install(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(assemble(), ["service", "install", *arguments])
    return done.exit_code, done.output


def test_system_unit_names_the_account_and_lets_the_lab_end_its_children() -> None:
    lines = unit_text(service("up", "--data", "/srv/lab", is_system=True)).splitlines()
    assert "User=gpulab" in lines
    assert "KillMode=mixed" in lines
    assert "WantedBy=multi-user.target" in lines
    assert next(line for line in lines if line.startswith("ExecStart=")).endswith("/gpulab up --data /srv/lab")
    assert "WorkingDirectory=/srv/100%% mine" in lines


def test_user_unit_has_no_account_and_starts_with_the_user() -> None:
    text = unit_text(service("worker", "--name", "gpu-2"))
    assert "User=" not in text
    assert "WantedBy=default.target" in text


def test_what_systemd_would_take_for_a_variable_is_escaped() -> None:
    assert '"/srv/a lab/100%%/$$HOME/\\"x\\""' in unit_text(service(*AWKWARD))
    assert '"C:\\\\backups"' in unit_text(service(*AWKWARD))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("is_system", [True, False])
def test_systemd_accepts_it(tmp_path: Path, is_system: bool) -> None:
    made = Service(("up", "--data", "/srv/a lab/100%"), is_system, "root", tmp_path)
    path = tmp_path / made.name
    path.write_text(unit_text(made))
    scope = "--system" if is_system else "--user"
    command = ["systemd-analyze", "verify", scope, path]
    env = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode, made.name in done.stderr) == (0, False), done.stderr


def test_it_is_written_and_the_next_step_is_said(units: Path) -> None:
    code, said = install("--", "up", "--data", "lab", "--host", "192.0.2.7")
    assert code == 0, said
    path = units / "config/systemd/user/gpulab-up.service"
    assert MARK in path.read_text()
    assert f"Wrote {path}" in said
    assert "systemctl --user enable gpulab-up.service && systemctl --user restart gpulab-up.service" in said
    assert install("--", "up", "--data", "other")[0] == 0, "ours is replaced"
    assert "other" in path.read_text()


def test_a_unit_of_somebody_else_is_not_overwritten(units: Path) -> None:
    (units / "system").mkdir()
    (units / "system" / "gpulab-worker.service").write_text("[Service]\n")
    code, said = install("--system", "--", "worker")
    assert (code, "was not written by gpulab" in said) == (1, True)
    assert (units / "system" / "gpulab-worker.service").read_text() == "[Service]\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("submit", "dropout-linear"), "name what to run"),
        (("up", "--data", "a\nExecStart=/bin/evil"), "line break"),
        (("worker", "--name", "postgresql://gpulab:secret@central/gpulab"), "password"),
    ],
)
def test_what_cannot_be_a_service_is_refused_and_nothing_is_written(
    units: Path, command: tuple[str, ...], words: str
) -> None:
    code, said = install("--", *command)
    assert (code, words in said) == (1, True)
    assert "secret" not in said
    assert not list(units.iterdir())


SECRET = "192.0.2.7:8700#c2VjcmV0"


@pytest.mark.parametrize("option", [("--join", SECRET), (f"--join={SECRET}",)])
def test_join_line_goes_into_the_environments_file_and_not_into_the_unit(units: Path, option: tuple[str, ...]) -> None:
    env = units / "config/gpulab/worker.env"
    env.parent.mkdir(parents=True)
    env.write_text("GPULAB_SLOTS=2\nGPULAB_JOIN=old\n")
    env.chmod(0o644)
    code, said = install("--", "worker", *option, "--data", "/srv/w")
    assert (code, str(env) in said, SECRET in said) == (0, True, False)
    unit = (units / "config/systemd/user/gpulab-worker.service").read_text()
    assert "/gpulab worker --data /srv/w\n" in unit
    assert f"EnvironmentFile=-{env}" in unit
    assert env.read_text() == f"GPULAB_SLOTS=2\nGPULAB_JOIN={SECRET}\n"
    assert env.stat().st_mode & 0o777 == 0o600


def test_join_line_is_not_read_from_a_services_standard_input(units: Path) -> None:
    code, said = install("--", "worker", "--join", "-")
    assert (code, "--join-file" in said) == (1, True)
    assert not list(units.iterdir())


def test_print_changes_nothing(units: Path) -> None:
    code, said = install("--system", "--account", "lab", "--print", "--", "scheduler")
    assert (code, "User=lab" in said) == (0, True)
    assert not list(units.iterdir())


def test_account_or_folder_with_a_line_break_is_refused(
    units: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = install("--system", "--account", "lab\nExecStartPre=/bin/evil", "--print", "--", "scheduler")
    assert (code, "--account has a line break" in said) == (1, True)
    broken = tmp_path / "a\nb"
    broken.mkdir()
    monkeypatch.chdir(broken)
    code, said = install("--print", "--", "scheduler")
    assert (code, "the folder has a line break" in said) == (1, True)


def test_where_no_script_lies_beside_python_the_module_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python3"))
    assert f"ExecStart={tmp_path / 'python3'} -m gpulab worker\n" in unit_text(service("worker"))


def test_one_that_runs_is_restarted_with_its_new_options(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def systemctl(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(" ".join(command))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("subprocess.run", systemctl)
    service_units.start(service("worker"))
    run = "systemctl --user"
    assert asked == [
        f"{run} daemon-reload",
        f"{run} enable gpulab-worker.service",
        f"{run} restart gpulab-worker.service",
    ]


def test_service_of_an_account_says_when_it_ends(units: Path) -> None:
    assert "loginctl enable-linger" in install("--", "scheduler")[1]
    assert "linger" not in install("--system", "--account", "lab", "--", "scheduler")[1]
