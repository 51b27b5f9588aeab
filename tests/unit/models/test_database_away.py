"""Which faults are the server's, and so are worth another try on another connection."""

import psycopg
import pytest

from models.database import WATCHFUL, is_away, settings_of
from models.outage import Outage, persist


def fault(state: str) -> psycopg.Error:
    return psycopg.errors.lookup(state)("so it is")


@pytest.mark.parametrize(
    "state",
    ["25006", "25P03", "25P04", "57P01", "57P02", "57P03", "57P05", "53300", "53100", "08006", "08P01", "58030"],
)
def test_server_is_away(state: str) -> None:
    assert is_away(fault(state))


@pytest.mark.parametrize("state", ["23505", "22P05", "42P01", "40P01", "55P03", "57014", "25P02", "42501"])
def test_server_is_there_and_says_no(state: str) -> None:
    assert not is_away(fault(state))


def test_broken_connection_has_no_code() -> None:
    assert is_away(psycopg.OperationalError("server closed the connection unexpectedly"))
    assert not is_away(psycopg.ProgrammingError("the query has 0 placeholders but 1 parameters were passed"))
    assert not is_away(OSError("no"))


def test_address_may_ask_for_another_kind_of_server() -> None:
    asked = settings_of("postgresql://a,b/lab?target_session_attrs=any&connect_timeout=3", WATCHFUL)
    assert not {"target_session_attrs", "connect_timeout"} & asked.keys()
    assert settings_of("postgresql://a,b/lab", WATCHFUL)["target_session_attrs"] == "read-write"


def test_outage_is_told_once_then_now_and_then_and_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 10.0, 29.0, 31.0, 40.0])
    outage = Outage("server.away", clock=lambda: next(times))
    for _ in range(4):
        outage.goes_on(OSError("no route\nand more"))
    outage.over()
    outage.over()
    said = capsys.readouterr().out + capsys.readouterr().err
    assert said.count("no route") == 2
    assert "and more" not in said
    assert said.count("server.away_no_more") == 1


def test_action_is_tried_until_the_database_is_there() -> None:
    left = [psycopg.OperationalError("gone"), fault("57P03"), None]

    def act() -> str:
        if error := left.pop(0):
            raise error
        return "done"

    assert persist(act, pause=lambda _: None) == "done"


def test_one_shot_gives_up_at_its_limit() -> None:
    def act() -> None:
        raise psycopg.OperationalError("gone")

    with pytest.raises(psycopg.OperationalError, match="gone"):
        persist(act, limit_seconds=0, pause=lambda _: None)
