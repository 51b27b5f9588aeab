"""Joining a lab by a line: the line itself, what a machine keeps, and what each failure says."""

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gpulab.cli import assemble
from server import lab_process
from server.joining import joined
from server.joining.identity import Identity
from server.joining.join_line import Address, JoinLine, JoinLineError
from server.joining.joined import JoinError, join
from server.joining.membership import FILE, Membership, MembershipError
from server.joining.protocol import Answer, Purpose, Refusal
from server.joining.sharing import Sharing, prepared
from server.joining.tunnel import ForeignLabError, RefusedError, UnreachableError
from server.up import LabError, LabOptions, LocalLab
from tests.lab import free_port


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return prepared(tmp_path / "share", "lab.example.edu", 8700)


@pytest.mark.parametrize("host", ["lab.example.edu", "192.0.2.7", "2001:db8::7"])
def test_line_comes_back_as_it_was_printed(tmp_path: Path, host: str) -> None:
    line = prepared(tmp_path / "share", host, 8700).line
    for printed in (str(line), f"gpulab worker --join {line}\n", f"  {line}  "):
        assert JoinLine.parse(printed) == line
    assert line.address == Address(host, 8700)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda line: line[:-1], "not complete"),
        (lambda line: line + "A", "not complete"),
        (lambda line: line.replace("#", " "), "ADDRESS#CODE"),
        (lambda line: line.partition("#")[0] + "#", "not complete"),
        (lambda line: line.replace(":8700", ""), "HOST:PORT"),
        (lambda line: line.replace(":8700", ":0"), "HOST:PORT"),
        (lambda line: line.replace(":8700", ":70000"), "HOST:PORT"),
        (lambda line: line.replace("lab.", "http://lab."), "HOST:PORT"),
        (lambda _: "", "ADDRESS#CODE"),
        (lambda line: line[:-3] + "é+/", "not complete"),
    ],
)
def test_line_that_was_damaged_is_refused_without_its_secret(
    identity: Identity, change: Callable[[str], str], words: str
) -> None:
    line = str(identity.line)
    with pytest.raises(JoinLineError, match=words) as caught:
        JoinLine.parse(change(line))
    assert line.partition("#")[2][20:40] not in str(caught.value)


def test_identity_stays_and_only_its_owner_reads_it(identity: Identity) -> None:
    before = identity.line
    again = prepared(identity.folder, "lab.example.edu", 8701).line
    assert (again.fingerprint, again.secret, again.address.port) == (before.fingerprint, before.secret, 8701)
    assert {stat.S_IMODE(path.stat().st_mode) for path in identity.folder.iterdir()} == {0o600}
    assert stat.S_IMODE(identity.folder.stat().st_mode) == 0o700


def test_share_prints_the_line_and_replaces_it(identity: Identity) -> None:
    def share(*options: str) -> tuple[int, str]:
        done = CliRunner().invoke(assemble(), ["share", "--data", str(identity.folder.parent), *options])
        return done.exit_code, done.output

    before = identity.line
    assert share() == (0, f"gpulab worker --join {before}\n")
    code, said = share("--renew")
    renewed = JoinLine.parse(said)
    assert (code, renewed.fingerprint) == (0, before.fingerprint)
    assert renewed.secret != before.secret
    assert share() == (0, said)


def test_share_of_a_lab_that_was_never_shared_says_how(tmp_path: Path) -> None:
    done = CliRunner().invoke(assemble(), ["share", "--data", str(tmp_path)])
    assert (done.exit_code, "gpulab up --share" in done.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


class FakeLab:
    """Answers in the place of a gate."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.asked: list[tuple[Purpose, str]] = []
        monkeypatch.setattr(joined, "ask", self._ask)

    def _ask(self, _address: Address, _pinned: bytes, node: str, purpose: Purpose, _proof: str) -> Answer:
        self.asked.append((purpose, node))
        if self.error is not None:
            raise self.error
        return Answer(token="t-" + node, message="Warning: its clock")


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    return FakeLab(monkeypatch)


def test_machine_joins_once_and_keeps_its_token_to_itself(lab: FakeLab, identity: Identity, tmp_path: Path) -> None:
    said: list[str] = []
    first = join(tmp_path, identity.line, "gpu-2", said.append)
    assert (first.token, first.node, first.pinned) == ("t-gpu-2", "gpu-2", identity.fingerprint)
    assert said == ["Warning: its clock", "Joined the lab at lab.example.edu:8700 as gpu-2."]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert join(tmp_path, None, None, said.append) == first
    moved = prepared(identity.folder, "192.0.2.9", 8701).line
    assert join(tmp_path, moved, None, said.append).address == "192.0.2.9:8701", "the lab moved, the token stays"
    assert join(tmp_path, None, None, said.append).address == "192.0.2.9:8701"
    assert lab.asked == [(Purpose.JOIN, "gpu-2")]


def test_another_labs_line_joins_that_lab(lab: FakeLab, identity: Identity, tmp_path: Path) -> None:
    join(tmp_path, identity.line, "gpu-2", print)
    other = prepared(tmp_path / "other", "192.0.2.9", 8700).line
    assert join(tmp_path, other, "gpu-2", print).pinned == other.fingerprint
    assert len(lab.asked) == 2


@pytest.mark.parametrize(
    ("error", "words", "is_final"),
    [
        (ForeignLabError(), "another certificate", True),
        (UnreachableError("nothing answers at lab.example.edu:8700 (refused)"), "runs with --share", False),
        (RefusedError(Refusal.VERSION, "the lab has gpulab 9"), "the lab has gpulab 9", True),
        (RefusedError(Refusal.SECRET, "it was replaced"), "it was replaced", True),
        (RefusedError(Refusal.AWAY, "its database is away"), "its database is away", False),
    ],
)
def test_each_failure_has_its_sentence_and_nothing_is_kept(
    lab: FakeLab, identity: Identity, tmp_path: Path, error: Exception, words: str, is_final: bool
) -> None:
    lab.error = error
    with pytest.raises(JoinError, match=words) as caught:
        join(tmp_path, identity.line, "gpu-2", print)
    assert caught.value.is_final is is_final
    assert not (tmp_path / FILE).exists()


def test_folder_of_another_node_or_of_none_is_refused(lab: FakeLab, identity: Identity, tmp_path: Path) -> None:
    with pytest.raises(JoinError, match="has not joined a lab"):
        join(tmp_path, None, None, print)
    join(tmp_path, identity.line, "gpu-2", print)
    with pytest.raises(JoinError, match="joined as gpu-2"):
        join(tmp_path, identity.line, "gpu-3", print)


@pytest.mark.parametrize("text", ["", "{}", '{"address": "x", "fingerprint": "zz", "node": "n", "token": "secret"}'])
def test_damaged_membership_is_named_without_its_content(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(MembershipError, match="remove it, and join again") as caught:
        Membership.load(tmp_path)
    assert "secret" not in str(caught.value)


class Became(Exception):  # noqa: N818 - no error: where a command would replace this process
    pass


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], dict[str, str]]]:
    """What the command would have become: module, arguments, and environment."""
    found: list[tuple[str, list[str], dict[str, str]]] = []

    def execve(_: str, argv: list[str], env: dict[str, str]) -> None:
        found.append((argv[2], argv[3:], env))
        raise Became

    monkeypatch.setattr(lab_process.os, "execve", execve)
    monkeypatch.setattr(lab_process.os, "chdir", lambda _: None)
    for name in ("DATABASE_URL", "REDIS_URL", "GPULAB_ARTIFACTS_URL", "GPULAB_JOIN"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.mark.parametrize("way", ["option", "stdin", "file", "environment"])
def test_line_comes_in_four_ways_and_never_stays_among_the_arguments(
    became: list[tuple[str, list[str], dict[str, str]]], identity: Identity, tmp_path: Path, way: str
) -> None:
    line = str(identity.line)
    (tmp_path / "line").write_text(f"gpulab worker --join {line}\n")
    given = {"option": ["--join", line], "stdin": ["--join", "-"], "file": ["--join-file", str(tmp_path / "line")]}
    done = CliRunner().invoke(
        assemble(),
        ["worker", "--data", str(tmp_path / "w"), "--slots", "3", *given.get(way, [])],
        input=f"{line}\n",
        env={"GPULAB_JOIN": line} if way == "environment" else {},
    )
    assert isinstance(done.exception, Became), done.output
    ((module, arguments, env),) = became
    assert (module, arguments) == ("server.joining", ["--data", str(tmp_path / "w")])
    assert str(JoinLine.parse(env["GPULAB_JOIN"])) == line
    assert env["GPULAB_SLOTS"] == "3"


def test_worker_whose_folder_has_joined_needs_no_line(
    became: list[tuple[str, list[str], dict[str, str]]], tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text("{}")
    assert isinstance(CliRunner().invoke(assemble(), ["worker", "--data", str(tmp_path)]).exception, Became)
    assert became[0][0] == "server.joining"


def test_line_beside_addresses_of_servers_is_refused(
    became: list[tuple[str, list[str], dict[str, str]]], identity: Identity, tmp_path: Path
) -> None:
    arguments = ["worker", "--data", str(tmp_path), "--join", str(identity.line)]
    done = CliRunner().invoke(assemble(), arguments, env={"DATABASE_URL": "postgresql://gpulab:pw@central/gpulab"})
    assert (done.exit_code, "not both" in done.output, became) == (2, True, [])


def test_worker_is_led_to_the_lab_and_does_not_get_the_line(identity: Identity, tmp_path: Path) -> None:
    known = Membership(address="lab:1", fingerprint="00", node="gpu-2", token="t")
    worker = joined.JoinedWorker(tmp_path, known, print)
    worker._welcomed(Answer(settings={"GPULAB_LEASE_SECONDS": "7"}))
    env = worker._environment({"GPULAB_JOIN": "secret", "PATH": "/bin", "GPULAB_LEASE_SECONDS": "9"}, tmp_path / "a b")
    assert "GPULAB_JOIN" not in env
    assert env["GPULAB_LEASE_SECONDS"] == "7", "lab and worker have the same"
    assert (env["GPULAB_NODE"], env["GPULAB_NODE_TOKEN"], env["PATH"]) == ("gpu-2", "t", "/bin")
    assert env["REDIS_URL"].endswith("/a%20b/redis.sock")
    assert env["GPULAB_ARTIFACTS_URL"].startswith("joined:///")


def said_by(options: LabOptions) -> str:
    with pytest.raises(LabError) as caught:
        LocalLab(options, lambda _: None).run(lambda _: None)
    return str(caught.value)


def test_port_for_machines_that_is_taken_is_named_with_its_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = said_by(LabOptions(tmp_path / "lab", port=free_port(), sharing=Sharing("127.0.0.1", port)))
    assert f"port {port}" in said
    assert "--share-port" in said


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_servers_of_ones_own_are_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "redis://central")
    said = said_by(LabOptions(tmp_path / "lab", port=0, sharing=Sharing("127.0.0.1", 0)))
    assert "--share" in said
    assert name in said


def test_identity_whose_files_are_unreadable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = prepared(tmp_path / "share", "h", 1)
    identity.address_file.write_text("nonsense")
    done = CliRunner().invoke(assemble(), ["share", "--data", str(tmp_path)])
    assert (done.exit_code, "HOST:PORT" in done.output) == (1, True)
    assert os.fspath(identity.address_file) in done.output
