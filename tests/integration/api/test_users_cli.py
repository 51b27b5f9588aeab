"""`gpulab users`, `tokens`, `roster` and `assignments`, and `client.users`, against the API at a real port."""

import asyncio
import csv
import json
import os
import re
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

import gpulab
from api.__main__ import Server
from gpulab.cli import main
from gpulab.states import Role
from tests.integration.api.seeds import SeededUser, Seeds
from tests.integration.api.study_calls import finish

CLASS = "name,email,section,team\nAda,ada@example.org,A,red\nBo,bo@example.org,A,blue\n"


class Terminal:
    """Types commands as one user."""

    def __init__(self, url: str, token: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        file = folder / "token"
        file.write_text(token)
        self.common = ["--url", url, "--token-file", str(file)]

    async def __call__(self, *words: str, expected: int = 0) -> str:
        code = await asyncio.to_thread(main, [*words, *self.common])
        out, err = self._capsys.readouterr()
        assert code == expected, err or out
        return err if expected > 1 else out

    async def json(self, *words: str, expected: int = 0) -> Any:
        return json.loads(await self(*words, "--json", expected=expected))


@pytest.fixture
def terminal(
    server: tuple[Server, str], admin: SeededUser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    # The server writes its log in this process too.
    with capture_logs():
        yield Terminal(server[1], admin.token, tmp_path, capsys)


async def test_users_are_let_in_changed_and_shut_out(terminal: Terminal) -> None:
    made = await terminal.json("users", "add", "sam", "--email", "sam@example.org", "--team", "red")
    assert made["token"].startswith("glab_")
    changed = await terminal.json(
        "users", "change", "SAM@example.org", "--weight", "2", "--running", "3", "--team", "-"
    )
    assert (changed["weight"], changed["max_running"], changed["team"]) == (2.0, 3, None)
    assert (await terminal.json("users", "disable", "sam"))["disabled_at"] is not None
    assert "disabled" in await terminal("users", "list")
    assert (await terminal.json("users", "enable", made["id"]))["disabled_at"] is None
    assert made["token"] not in await terminal("users", "show", "sam")
    audit = await terminal.json("users", "audit", "--action", "user.disabled")
    assert [event["target"] for event in audit] == [f"user:{made['id']}"]


async def test_the_audit_is_read_by_names_days_and_apart_from_sign_ins(terminal: Terminal) -> None:
    made = await terminal.json("users", "add", "sam")
    await terminal.json("users", "add", "ada", "--role", "instructor")
    shown = (await terminal("users", "audit", "--user", "admin", "--action", "user.created")).splitlines()
    assert [line.split()[2:6] for line in shown[1:]] == [
        ["admin", "user.created", "user", name] for name in ("ada", "sam")
    ]
    assert made["id"] not in "".join(shown)
    assert await terminal.json("users", "audit", "--sign-ins") == []
    assert await terminal.json("users", "audit", "--until", "2020-01-01") == []
    assert len(await terminal.json("users", "audit", "--since", "2020-01-01")) == 2
    assert await terminal.json("users", "audit", "--user", "sam") == []
    assert "is not a time" in await terminal("users", "audit", "--since", "yesterday", expected=2)


async def test_wrong_words_are_named(terminal: Terminal) -> None:
    assert "no user has the name, email address or id 'eve'" in await terminal("users", "show", "eve", expected=2)
    assert "max_running" in await terminal("users", "change", "admin", "--running", "many", expected=2)
    assert "name at least one change" in await terminal("users", "change", "admin", expected=2)
    assert "no valid token of yours has the name 'laptop'" in await terminal("tokens", "revoke", "laptop", expected=2)
    assert "last admin" in await terminal("users", "disable", "admin", expected=3)
    assert "no assignment" in await terminal("assignments", "overview", "Homework", expected=2)


async def test_tokens_are_made_listed_and_revoked(terminal: Terminal) -> None:
    token = (await terminal("tokens", "create", "laptop", "--expires", "2999-01-01")).strip()
    assert token.startswith("glab_")
    listed = await terminal.json("tokens", "list")
    assert [one["name"] for one in listed] == ["laptop", "test"]
    await terminal("tokens", "revoke", listed[0]["id"])
    assert "revoked" in await terminal("tokens", "list")


async def test_class_comes_in_from_a_table_and_its_tokens_go_to_a_private_file(
    terminal: Terminal, tmp_path: Path
) -> None:
    table, tokens = tmp_path / "class.csv", tmp_path / "tokens.csv"
    table.write_text(CLASS)
    looked_at = await terminal("roster", "import", str(table), "--dry-run")
    assert "2 would be added" in looked_at
    assert "ada@example.org, section" in looked_at
    assert "2 new users get a token" in await terminal("roster", "import", str(table), expected=2)
    assert "2 added" in await terminal("roster", "import", str(table), "--tokens", str(tokens))
    with tokens.open(newline="", encoding="utf-8-sig") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["Ada", "Bo"]
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600
    await terminal("roster", "import", str(table), "--tokens", str(tokens), expected=2)
    again = tmp_path / "again.csv"
    assert (await terminal.json("roster", "import", str(table), "--tokens", str(again)))["tokens_csv"] is None
    assert not again.exists()
    table.write_text(CLASS.replace("blue", "green"))
    assert "0 added, 1 changed" in await terminal("roster", "import", str(table)), "nobody new needs no file for tokens"
    table.write_text(CLASS)
    await terminal("roster", "import", str(table))
    table.write_text("")
    assert "must not be empty" in await terminal("roster", "import", str(table), expected=3)
    table.write_text("name,email\n" + "".join(f"Ada,nowhere{n}\n" for n in range(9)))
    refused = await terminal("roster", "import", str(table), expected=3)
    assert "line 2, email: is not an e-mail address (got 'nowhere0')" in refused
    assert refused.endswith("and 4 more like these\n")
    table.write_text("name,email\nAda,nowhere\n")
    assert "line 2, email" in await terminal("roster", "import", str(table), "--tokens", str(again), expected=3)
    assert not again.exists()
    assert [one["name"] for one in (await terminal.json("roster", "show", "--team", "blue"))["users"]] == ["Bo"]


async def test_namesakes_are_named_by_their_addresses(terminal: Terminal, tmp_path: Path) -> None:
    table = tmp_path / "class.csv"
    table.write_bytes("name;email\nJosé Wang;j1@example.org\nJosé Wang;j2@example.org\n".encode("cp1252"))
    told = await terminal("roster", "import", str(table), "--tokens", str(tmp_path / "tokens.csv"))
    assert "Windows-1252" in told
    assert "José Wang" in (tmp_path / "tokens.csv").read_text(encoding="utf-8-sig")
    refused = await terminal("users", "show", "josé  wang", expected=2)
    assert "j1@example.org, j2@example.org" in refused
    assert (await terminal.json("users", "show", "J2@example.org"))["email"] == "j2@example.org"


async def test_times_are_dates_to_their_end_or_times_and_never_digits(terminal: Terminal) -> None:
    made = await terminal.json("tokens", "create", "laptop", "--expires", "2999-01-31")
    ends = datetime.fromisoformat(made["expires_at"]).astimezone()
    assert (ends.date().isoformat(), ends.hour, ends.minute) == ("2999-01-31", 23, 59)
    for wrong in ("29990131", "4102444800", "tomorrow", "2001-01-01"):
        await terminal("tokens", "create", "phone", "--expires", wrong, expected=3 if wrong == "2001-01-01" else 2)
    order = ("assignments", "create", "Homework", "--experiment", "dropout-linear", "--deadline")
    assert "2999-01-31 23:59 UTC" in await terminal(*order, "2999-01-31")
    assert "2999-01-31 23:59 UTC" in await terminal("assignments", "list")
    assert "is in the past" in await terminal(*order, "2001-01-01", expected=3)
    assert "write a time as" in await terminal(*order, "4102444800", expected=3)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
async def test_foreign_locale_costs_no_tokens(
    terminal: Terminal, server: tuple[Server, str], tmp_path: Path, encoding: str
) -> None:
    table, tokens = tmp_path / "class.csv", tmp_path / "tokens.csv"
    table.write_text("name,email\nŁukasz Żółć,l@example.org\n山田太郎,y@example.org\n", encoding="utf-8")
    foreign = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": encoding}
    words = ("roster", "import", str(table), "--tokens", str(tokens), *terminal.common)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gpulab", *words), env=os.environ | foreign, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()

    assert (process.returncode, err) == (0, b"")
    assert b"2 added" in out
    assert b"\\u5c71" in out
    rows = list(csv.DictReader(tokens.read_text(encoding="utf-8-sig").splitlines()))
    assert [row["name"] for row in rows] == ["Łukasz Żółć", "山田太郎"]
    found = [await terminal.json("users", "show", row["email"]) for row in rows]
    assert [one["name"] for one in found] == ["Łukasz Żółć", "山田太郎"]


async def test_homework_from_setting_it_to_comparing_it(
    terminal: Terminal, server: tuple[Server, str], seeds: Seeds, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds.node()
    sam = seeds.user("sam", Role.STUDENT)
    job_id = seeds.job(sam, name="my best")
    finish(seeds, job_id, {"loss": 1.0})
    deadline = ("--deadline", "2999-01-01T00:00", "--experiment", "dropout-linear")
    await terminal("assignments", "create", "Homework", *deadline)
    assert "Homework" in await terminal("assignments", "list")
    (tmp_path / "sam").mkdir()
    student = Terminal(server[1], sam.token, tmp_path / "sam", capsys)
    assert "nothing yet" in await student("assignments")
    shown = await student("assignments", "show", "Homework")
    assert re.search(r"^due +2999-01-0\d .*\(in \d+ d\)", shown, re.MULTILINE)
    assert re.search(r"^dropout-linear +1 of 1 succeeded", shown, re.MULTILINE)
    assert "my best" in shown
    assert "handed in" in await student("assignments", "hand-in", "Homework", "my best")
    assert re.search(r"^Homework +2999-01-0\d .* in \d+ d +my best", await student("assignments"), re.MULTILINE)
    changed = ("--late-days", "3", "--late-deduction", "10%", "--description", "One run.")
    assert "for 3 days, 10 percent deducted" in await terminal("assignments", "change", "Homework", *changed)
    assert "One run." in await student("assignments", "show", "Homework")
    extended = ("assignments", "extend", "Homework", "--user", "sam", "--deadline", "2999-02-01T00:00")
    assert "sam  due 2999-02-01 00:00 UTC" in await terminal(*extended)
    assert "2999-02-01" in await terminal("assignments", "extensions", "Homework")
    assert "2999-02-01 00:00 UTC" in await student("assignments", "show", "Homework")
    assert "one section" in await terminal(*extended, "--section", "A", expected=2)
    assert "is not a deduction" in await terminal(
        "assignments", "change", "Homework", "--late-deduction", "a lot", expected=2
    )
    assert "what to change" in await terminal("assignments", "change", "Homework", expected=2)
    await terminal("assignments", "change", "Homework", "--name", "Homework 1")
    assert "Homework 1" in await student("assignments")
    await terminal("assignments", "change", "Homework 1", "--name", "Homework")
    assert "after the command" in await student("assignments", "--json", "list", expected=2)
    assert "only instructors" in await student("assignments", "overview", "Homework", expected=3)
    # The run is older than the assignment, so it is counted apart.
    stands = await terminal("assignments", "overview", "Homework")
    assert stands.startswith("Homework: 1 handed in\n")
    assert stands == await terminal("assignments", "overview", "Homework", "--state", "handed in")
    assert await terminal("assignments", "overview", "Homework", "--section", "Z") == "No student matches.\n"
    assert re.search(r"^sam +handed in +0/0 \(\+1 before\)", stands, re.MULTILINE)
    assert str(job_id) in await terminal("assignments", "submissions", "Homework")
    again = await terminal.json("assignments", "rerun", "Homework", "sam")
    assert "waiting" in await terminal("assignments", "compare", "Homework", "sam", expected=1)
    finish(seeds, UUID(again["id"]), {"loss": 1.5})
    assert "different" in await terminal("assignments", "compare", "Homework", "sam", expected=1)
    assert "same" in await terminal("assignments", "compare", "Homework", "sam", "--tolerance", "0.5")


async def test_the_client_has_the_same_calls(server: tuple[Server, str], admin: SeededUser, seeds: Seeds) -> None:
    job_id = seeds.job(admin)

    def calls() -> None:
        with gpulab.Client(server[1], admin.token) as client:
            made = client.users.create_user("sam", section="A")
            assert [user.name for user in client.users.search(section="A")] == ["sam"]
            assert client.users.change_user(made.id, section=None).section is None
            assert client.users.share_job(job_id, "class").shared_with == "class"
            token = client.users.create_token("spare", user_id=made.id)
            client.users.revoke_token(token.id)
            assert [one.revoked_at is None for one in client.users.tokens(made.id)] == [False, True]
            with pytest.raises(gpulab.Conflict):
                client.users.create_user("sam")

    await asyncio.to_thread(calls)


async def test_assignments_are_listed_by_deadline_and_found_in_any_case(terminal: Terminal) -> None:
    for name, day in (("Second", "2999-02-01"), ("First", "2999-01-01"), ("Third", "2999-03-01")):
        await terminal(
            *("assignments", "create", name, "--deadline", day, "--experiment", "script", "--max-points", "7.5")
        )
    shown = (await terminal("assignments")).splitlines()
    assert [line.split()[0] for line in shown[1:]] == ["First", "Second", "Third"]
    assert re.search(r"points +at most 7\.5\n", await terminal("assignments", "show", "SECOND"))
    refused = await terminal("assignments", "show", "Fourth", expected=2)
    assert "'Fourth'; there are: 'Third', 'First', 'Second'" in refused


async def test_an_experiment_with_a_typing_error_is_answered_with_similar_ones(terminal: Terminal) -> None:
    for command in (("experiments", "tran-classifier"), ("submit", "tran-classifier")):
        assert "similar: train-classifier" in await terminal(*command, expected=3)
    listed = {line.split()[0] for line in (await terminal("experiments")).splitlines()[1:]}
    refused = await terminal("experiments", "zzz", expected=3)
    assert set(refused.partition("there are: ")[2].strip().split(", ")) == listed
