"""The roster: what a table would change, what it changes, and how its wrong lines are named."""

import csv
import io
from base64 import b64encode
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from gpulab.schemas.roster import RosterImported, RosterRead
from gpulab.states import Role
from models import AuditEvent, Token, User
from tests.integration.api.seeds import SeededUser, Seeds

CLASS = "name,email,section,team\nAda,ada@example.org,A,red\nBo,Bo@Example.org,A,\nCy,cy@example.org,,\n"


async def brought_in(client: httpx.AsyncClient, table: str, *, dry_run: bool = False) -> RosterImported:
    answer = await client.post("/v1/roster", json={"csv": table, "dry_run": dry_run})
    assert answer.status_code == 200, answer.text
    return RosterImported.model_validate_json(answer.content)


def tokens_of(done: RosterImported) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((done.tokens_csv or "").removeprefix("\ufeff"), newline="")))


def counted(seeds: Seeds) -> list[int]:
    with seeds.engine.begin() as connection:
        return [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (User, Token, AuditEvent)
        ]


async def test_dry_run_says_what_would_change_and_changes_nothing(client: httpx.AsyncClient, seeds: Seeds) -> None:
    before = counted(seeds)
    told = await brought_in(client, CLASS, dry_run=True)

    assert (told.created, told.changed, told.kept, told.tokens_csv) == (3, 0, 0, None)
    assert [(row.line, row.action, row.email) for row in told.rows][:2] == [
        (2, "create", "ada@example.org"),
        (3, "create", "bo@example.org"),
    ]
    assert counted(seeds) == before


async def test_class_is_let_in_with_a_token_each(client: httpx.AsyncClient, seeds: Seeds) -> None:
    done = await brought_in(client, CLASS)
    tokens = tokens_of(done)

    assert [row["name"] for row in tokens] == ["Ada", "Bo", "Cy"]
    for row in tokens:
        me = (await client.get("/v1/me", headers={"Authorization": f"Bearer {row['token']}"})).json()
        assert (me["name"], me["role"], me["email"]) == (row["name"], "student", row["email"])
    with seeds.engine.begin() as connection:
        events = repr(connection.execute(select(*AuditEvent.__table__.columns)).all())
    assert events.count("user.created") == 3
    assert [row["token"] for row in tokens if row["token"] in events] == []


async def test_same_table_again_changes_nothing(client: httpx.AsyncClient, seeds: Seeds) -> None:
    await brought_in(client, CLASS)
    before = counted(seeds)
    again = await brought_in(client, CLASS.replace("\n", "\r\n"))

    assert (again.created, again.changed, again.kept, again.tokens_csv, again.missing) == (0, 0, 3, None, [])
    assert counted(seeds) == before


async def test_a_disabled_user_in_the_table_is_named(client: httpx.AsyncClient) -> None:
    await brought_in(client, CLASS)
    users = (await client.get("/v1/users", params={"text": "Cy"})).json()["items"]
    (cy,) = [user["id"] for user in users if user["email"] == "cy@example.org"]
    assert (await client.post(f"/v1/users/{cy}/disable")).is_success
    again = await brought_in(client, CLASS)
    assert again.notices == [
        "These users stay disabled; `gpulab users enable` enables a user again: cy@example.org",
    ]


async def test_table_moves_users_and_names_who_is_missing(client: httpx.AsyncClient) -> None:
    await brought_in(client, CLASS)
    moved = await brought_in(client, "\ufeffemail;name;team\nADA@example.org;Ada L.;blue\nbo@example.org;Bo;\n")

    assert (moved.created, moved.changed, moved.kept, moved.missing) == (0, 1, 1, ["Cy"])
    assert {(change.field, change.before, change.after) for change in moved.rows[0].changes} == {
        ("name", "Ada", "Ada L."),
        ("team", "red", "blue"),
    }
    roster = RosterRead.model_validate_json((await client.get("/v1/roster")).content)
    # The table has no sections, so they stay.
    assert [(one.name, one.section, one.team) for one in roster.users] == [
        ("Ada L.", "A", "blue"),
        ("Bo", "A", None),
        ("Cy", None, None),
    ]
    assert [(group.section, group.team, len(group.students)) for group in roster.groups] == [
        ("A", "blue", 1),
        ("A", None, 1),
        (None, None, 1),
    ]
    assert len(RosterRead.model_validate_json((await client.get("/v1/roster?team=blue")).content).users) == 1


WRONG: dict[str, tuple[str, list[str]]] = {
    "no heading": ("Ada,ada@example.org\n", ["csv.1", "csv.1"]),
    "column twice": ("name,email,email\nAda,a@example.org,a@example.org\n", ["csv.1"]),
    "bad address": ("name,email\nAda,nowhere\n\nBo,bo@example.org\nCy,\n", ["csv.2.email", "csv.5.email"]),
    "no name": ("name,email\n,ada@example.org\n", ["csv.2.name"]),
    "cells": ("name,email\nAda,ada@example.org,x\nBo\n", ["csv.2", "csv.3.email"]),
    "same address": ("name,email\nAda,a@example.org\nBo,A@example.org\n", ["csv.3.email"]),
    "formula": ("name,email\n=1+1,a@example.org\n", ["csv.2.name"]),
    "control": ("name,email\nA\x07da,a@example.org\n", ["csv.2.name"]),
    "empty": ("name,email\n", ["csv"]),
    "staff": ("name,email\nIna,ina@example.org\n", ["csv.2.email"]),
    "over lines": ('name,email\n"Ada\nL.",a@example.org\nBo,nowhere\n', ["csv.4.email"]),
    "lost letters": ("name,email\nJos\N{REPLACEMENT CHARACTER},a@example.org\n", ["csv.2.name"]),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_lines_are_named_and_nothing_changes(client: httpx.AsyncClient, seeds: Seeds, case: str) -> None:
    await client.post("/v1/users", json={"name": "Ina", "role": "instructor", "email": "ina@example.org"})
    before = counted(seeds)
    table, paths = WRONG[case]
    answer = await client.post("/v1/roster", json={"csv": table})

    assert answer.status_code == 422, answer.text
    assert [error["path"] for error in answer.json()["errors"]] == paths
    assert counted(seeds) == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"csv": CLASS, "file": "AAAA"},
        {"file": "no base64!"},
        {"file": "AAAA"},
        {"csv": ""},
        {"csv": 5},
        {"csv": CLASS, "dry_run": "yes"},
        {"csv": CLASS, "x": 1},
    ],
)
async def test_bad_order_is_refused(client: httpx.AsyncClient, seeds: Seeds, body: dict[str, Any]) -> None:
    before = counted(seeds)
    assert (await client.post("/v1/roster", json=body)).status_code == 422
    assert counted(seeds) == before


async def test_namesakes_are_told_apart_by_their_addresses(client: httpx.AsyncClient) -> None:
    table = "name,email\nWei Wang,wei1@example.org\nWei Wang,wei2@example.org\nadmin,an-admin@example.org\n"
    done = await brought_in(client, table)
    tokens = [row["token"] for row in tokens_of(done)]
    answers = [await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"}) for token in tokens]

    assert [(me.json()["name"], me.json()["email"], me.json()["role"]) for me in answers] == [
        ("Wei Wang", "wei1@example.org", "student"),
        ("Wei Wang", "wei2@example.org", "student"),
        ("admin", "an-admin@example.org", "student"),
    ]
    moved = await brought_in(client, "name,email,team\nWei Wang,wei2@example.org,red\n")
    assert (moved.changed, sorted(moved.missing)) == (1, ["Wei Wang (wei1@example.org)", "admin"])


async def test_jobs_of_namesakes_are_found_by_address_or_id(client: httpx.AsyncClient, seeds: Seeds) -> None:
    await brought_in(client, "name,email\nWei Wang,wei1@example.org\nWei Wang,wei2@example.org\n")
    first, second = (await client.get("/v1/users?text=wei")).json()["items"]
    job = str(seeds.job(SeededUser(UUID(first["id"]), "Wei Wang", "")))

    async def listed(owner: str) -> list[str]:
        return [one["id"] for one in (await client.get("/v1/jobs", params={"owner": owner})).json()["items"]]

    for owner in (first["email"], first["id"], "Wei Wang"):
        assert await listed(owner) == [job]
    for owner in (second["email"], second["id"]):
        assert await listed(owner) == []
    assert (await client.get(f"/v1/jobs/{job}")).json()["owner_id"] == first["id"]


async def test_file_is_decoded_by_the_lab_with_a_notice(client: httpx.AsyncClient) -> None:
    table = "name;email;Department\nJosé Núñez;jose@example.org;EE\n"
    for encoding, words in (("utf-8-sig", None), ("utf-16", "UTF-16"), ("cp1252", "“José Núñez”")):
        body = {"file": b64encode(table.encode(encoding)).decode(), "dry_run": True}
        answer = await client.post("/v1/roster", json=body)
        done = RosterImported.model_validate_json(answer.content)
        assert [row.name for row in done.rows] == ["José Núñez"]
        assert len(done.notices) == (1 if words is None else 2)
        assert words is None or words in done.notices[0]
        assert "Department" in done.notices[-1]


async def test_token_table_is_for_spreadsheets(client: httpx.AsyncClient) -> None:
    done = await brought_in(client, "name,email\nZoë,zoe@example.org\nEve,-1+1@example.org\n")
    assert (done.tokens_csv or "").startswith("\ufeffname,email,token\r\nZoë,zoe@example.org,glab_")
    assert [row["email"] for row in tokens_of(done)] == ["zoe@example.org", "'-1+1@example.org"]


async def test_instructors_bring_a_class_in(client: httpx.AsyncClient, seeds: Seeds) -> None:
    ina: SeededUser = seeds.user("ina", Role.INSTRUCTOR)
    answer = await client.post("/v1/roster", json={"csv": CLASS}, headers=ina.headers)
    assert answer.json()["created"] == 3
    event = (await client.get("/v1/audit?action=user.created&limit=1")).json()["items"][0]
    assert (event["actor"], event["details"]["by"]) == ("user:ina", "roster")
