"""`gpulab watch` in a terminal."""

import io
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from rich.console import Console

from gpulab.cli.live.card import Glance, card
from gpulab.client import Metrics
from gpulab.schemas import JobRead, QueueRead
from tests.unit.gpulab.stub_lab import TOKEN, StubLab, make_job, series
from tests.unit.gpulab.terminal import Terminal

TWO_METRICS = [series("loss", [3.0, 1.0, 2.0]), series("rate", [1.0, 1.0])]


def drawn(
    job: JobRead, *metrics: dict[str, object], width: int = 90, height: int = 30, queue: QueueRead | None = None
) -> list[str]:
    found = Metrics.model_validate({"job_id": job.id, "series": metrics, "names": [], "cursor": "", "whole": True})
    screen = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None, record=True)
    screen.print(card(Glance(job, found, queue), width, height))
    lines = screen.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= height
    return [line.strip("│ ") for line in lines]


def test_card_has_state_progress_and_curves() -> None:
    now = datetime.now(UTC)
    job = make_job(
        state="running",
        name="mine",
        node="gpu-a",
        started_at=now - timedelta(seconds=60),
        progress={"fraction": 0.5, "message": "epoch 2"},
        time_limit_seconds=3600,
    )
    lines = drawn(job, *TWO_METRICS)
    assert "mine (echo)" in lines[0]
    assert lines[1] == "running  50%  epoch 2"
    assert lines[2] == "━" * 43 + "─" * 43
    assert lines[3] == "on gpu-a, runs for 1 min of at most 1 h, about 1 min to go"
    assert "loss  2 at step 2" in lines
    assert "rate  1 at step 1, constant" in lines
    assert "q quits; the run continues" in lines[-1]


def test_card_of_a_job_that_has_not_begun_claims_no_progress() -> None:
    assert drawn(make_job(state="leased"))[1].split() == ["starting"]


def test_card_of_a_waiting_job_tells_the_whole_reason_and_when_it_may_start() -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=47, seconds=30)).isoformat()
    place = {"state": "queued", "position": 1, "reason": "no_free_gpu", "would_help": [], "estimated_start_at": soon}
    queue = QueueRead.model_validate({**place, "explanation": "every GPU is taken; it starts when a job ahead ends"})
    lines = drawn(make_job(), width=44, queue=queue)
    assert lines[3:5] == ["place 1: every GPU is taken; it starts", "when a job ahead ends"]
    assert "starts in about 47 min" in " ".join(lines[5:7])


@pytest.mark.parametrize(("width", "height"), [(24, 12), (40, 20), (100, 10)])
def test_card_fits_small_terminals_and_counts_the_metrics_it_leaves_out(width: int, height: int) -> None:
    many = [series(f"metric-{number}", [1.0, 2.0]) for number in range(9)]
    lines = drawn(make_job(state="running"), *many, width=width, height=height)
    assert any("more metrics" in line for line in lines)


def test_terminal_shows_the_place_then_the_run_then_the_end(stub: StubLab) -> None:
    job = stub.add(name="mine")
    with stub.serve() as url:
        environment = {"GPULAB_URL": url, "GPULAB_TOKEN": TOKEN}
        with Terminal("watch", job.id, columns=60, lines=24, environment=environment) as terminal:
            terminal.wait_for("place 3: All slots are taken.")
            stub.series = TWO_METRICS
            stub.change(job.id, state="running", progress={"fraction": 0.25, "message": "epoch 1"})
            terminal.wait_for(lambda text: "running  25%  epoch 1" in text and "loss  2 at step 2" in text)
            stub.change(job.id, state="failed", cause="out_of_memory", message="needs 9 GiB")
            assert terminal.wait() == 1
            text = terminal.wait_for("out of memory: needs 9 GiB")
            assert text.count("╭") == 1, "the card was drawn over, not again"
            assert terminal.is_as_before()


def test_watching_outlives_a_lab_that_restarts(stub: StubLab) -> None:
    job = stub.add(state="running")
    with ExitStack() as stack:
        with stub.serve() as url:
            environment = {"GPULAB_URL": url, "GPULAB_TOKEN": TOKEN}
            terminal = stack.enter_context(Terminal("watch", job.id, environment=environment))
            terminal.wait_for("running")
        terminal.wait_for("not answering")
        stub.change(job.id, state="succeeded")
        with stub.serve(port=httpx.URL(url).port or 0):
            assert terminal.wait() == 0
        assert "not answering" not in terminal.wait_for("succeeded")


def test_q_leaves_the_job_alone_and_exits_as_interrupted(stub: StubLab) -> None:
    job = stub.add(state="running")
    with stub.serve() as url:
        environment = {"GPULAB_URL": url, "GPULAB_TOKEN": TOKEN}
        with Terminal("watch", job.id, environment=environment) as terminal:
            terminal.wait_for("q quits")
            terminal.type("q")
            assert terminal.wait() == 130
            assert terminal.is_as_before()
    assert all(request.method == "GET" for request in stub.requests)
