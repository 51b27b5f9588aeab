"""Errors of the lab: which lines count, which are alike, and that no secret is kept."""

import io
import json
import re
from pathlib import Path

import pytest
import structlog

from api.lab_errors.advice import ADVICE, advice_for
from models import error_log
from models.error_log import MAX_WAITING, OF_RUNS, ErrorLog, message_of, without_secrets
from models.logs import configure_logs

ROOT = Path(__file__).parents[3]
LOGGED = re.compile(r"log\.(?:warning|error|critical|exception)\(\s*\"([\w.]+)\"")


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> ErrorLog:
    made = ErrorLog()
    monkeypatch.setattr(error_log, "ERRORS", made)
    return made


def note(errors: ErrorLog, method: str, event: str, **facts: object) -> None:
    errors.note(None, method, {"event": event, **facts})


def test_messages_that_differ_in_ids_and_numbers_are_alike(errors: ErrorLog) -> None:
    for reason in (
        "job 019a2b3c-1111-7222-8333-944455556666 waits 3 s at 10.0.0.7:5432",
        "job 019a2b3c-9999-7222-8333-aaaa55556666 waits 12.5 s at 10.0.0.12:5433",
    ):
        note(errors, "error", "store.refused", reason=reason)
    note(errors, "error", "store.refused", reason="the disk is full")
    found = {group.message: group.count for group in errors.take()}
    assert sorted(found.values()) == [1, 2]
    assert errors.take() == []


def test_runs_and_mere_news_are_left_out(errors: ErrorLog) -> None:
    note(errors, "info", "request.served")
    note(errors, "warning", "limit.exceeded", reason="a user's run")
    note(errors, "warning", "node.set_aside", node="gpu-1", fault="flapping", reason="it came and went")
    (group,) = errors.take()
    assert (group.event, group.is_warning) == ("node.set_aside", True)
    assert group.message == "gpu-1: flapping: it came and went"


def test_an_exception_is_named_with_its_first_line(errors: ErrorLog) -> None:
    try:
        raise ZeroDivisionError("division\nby zero")
    except ZeroDivisionError:
        note(errors, "error", "request.failed", exc_info=True)
    assert errors.take()[0].message == "ZeroDivisionError: division"


@pytest.mark.parametrize(
    "text",
    [
        "cannot reach postgresql://gpulab:hunter22@central:5432/gpulab",
        "cannot reach redis://:hunter22@central:6379/0",
        "refused: Authorization: Bearer hunter22",
        'PASSWORD = "hunter22" is wrong',
        "aws_secret=hunter22",
        "token glab_hunter22 is unknown",
        "api-key: hunter22",
    ],
)
def test_no_secret_is_kept(text: str) -> None:
    assert "hunter22" not in message_of({"event": "x", "reason": text})


def test_a_password_of_the_environment_is_hidden_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://gpulab:p%40ss-word@central/gpulab")
    assert without_secrets("no entry for p@ss-word or p%40ss-word") == "no entry for *** or ***"


def test_a_password_that_left_the_environment_stays_hidden(errors: ErrorLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://gpulab:hunter22@127.0.0.1:1/gpulab")
    monkeypatch.setenv("PGPASSWORD", "swordfish")
    with error_log.keeping("worker"):
        monkeypatch.delenv("DATABASE_URL")
        monkeypatch.delenv("PGPASSWORD")
        assert without_secrets("no entry for hunter22 or swordfish") == "no entry for *** or ***"


def test_the_number_of_groups_and_their_length_are_bounded(errors: ErrorLog) -> None:
    for letter in range(3 * MAX_WAITING):
        note(errors, "error", f"event.{'x' * letter}", reason="y" * 10_000)
    found = errors.take()
    assert len(found) == MAX_WAITING
    assert max(len(group.message) for group in found) <= error_log.MAX_MESSAGE


def test_what_the_database_did_not_take_is_added_to_what_came_since(errors: ErrorLog) -> None:
    note(errors, "error", "store.refused", reason="full")
    first = errors.take()
    note(errors, "error", "store.refused", reason="full")
    errors.put_back(first)
    (group,) = errors.take()
    assert group.count == 2
    assert group.first_at == first[0].first_at


def test_the_log_says_the_same_as_before() -> None:
    lines = io.StringIO()
    configure_logs(as_json=True, file=lines)
    structlog.get_logger().error("store.refused", reason="full")
    said = json.loads(lines.getvalue())
    assert (said["event"], said["reason"], said["level"]) == ("store.refused", "full", "error")
    structlog.reset_defaults()


def test_every_event_that_is_logged_as_an_error_has_advice_or_concerns_a_run() -> None:
    folders = ("api", "scheduler", "worker", "models", "migrations", "experiments")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    logged = {event for path in sources for event in LOGGED.findall(path.read_text())}
    assert len(logged) > 40
    assert logged - ADVICE.keys() - OF_RUNS == set()
    assert "gpu-1" in advice_for("zygote.failed", process="worker", host="gpu-1")
    assert advice_for("unheard.of", process="worker", host="gpu-1") == "Read the log of worker on gpu-1."
