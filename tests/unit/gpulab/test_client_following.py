"""Waiting, logs and streams."""

import itertools
from collections.abc import Iterator

import httpx
import pytest

import gpulab
from gpulab.client import following
from gpulab.client.events import EventParser
from gpulab.client.transport import pauses
from gpulab.schemas import JobRead
from tests.unit.gpulab.stub_lab import StubLab, dropped, make_job, problem, refused, unavailable


class Clock:
    """Time that passes only when somebody looks."""

    def __init__(self, step_seconds: float) -> None:
        self._times = itertools.count(0.0, step_seconds)

    def monotonic(self) -> float:
        return next(self._times)


class Broken(httpx.SyncByteStream):
    """A body that ends in the middle of the connection."""

    def __init__(self, *pieces: bytes, error: bool = True) -> None:
        self._pieces = pieces
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._error:
            raise httpx.ReadError("connection reset")


def stream_of(*pieces: bytes, error: bool = True) -> httpx.Response:
    return httpx.Response(200, stream=Broken(*pieces, error=error), headers={"Content-Type": "text/event-stream"})


def goodbye() -> httpx.Response:
    return httpx.Response(204)


def test_wait_returns_the_final_job_and_shows_every_version(client: gpulab.Client, stub: StubLab) -> None:
    known = stub.add({"state": "leased"}, {"state": "running"}, {"state": "succeeded", "result": {"x": 1}})
    states: list[str] = []
    job = client.job(known.id)
    assert job.wait(on_change=lambda seen: states.append(seen.state)).result == {"x": 1}
    assert states == ["queued", "leased", "running", "succeeded"]


def test_wait_for_a_final_job_asks_once(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add(state="failed").id)
    asked = len(stub.requests)
    assert job.wait().is_final
    assert len(stub.requests) == asked + 1


def test_what_changes_all_the_time_is_read_after_rests(sleeps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "time", Clock(5.0))
    jobs = [make_job(state="running")] * 4 + [make_job(state="succeeded")]
    answers = iter([(job, "tag") for job in jobs])

    def look(*_: object) -> tuple[JobRead, str]:
        return next(answers)

    walked = following.hold(look, lambda job: job.state == "succeeded", None, 60, what="it", max_rest_seconds=2.0)
    assert [job for job, _ in walked] == jobs
    assert len(sleeps) == 4, "none after the last answer"
    assert sleeps == sorted(sleeps)
    assert sleeps[0] < sleeps[-1] == 2.0


def test_wait_holds_the_connection_instead_of_asking_often(client: gpulab.Client, stub: StubLab) -> None:
    client.job(stub.add({"state": "cancelled"}).id).wait()
    assert float(stub.requests[-1].url.params["wait"]) == pytest.approx(following.LONG_POLL_SECONDS)
    assert "if-none-match" in stub.requests[-1].headers


def test_wait_survives_a_restart_of_the_api(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add({"state": "running"}, {"state": "succeeded"}).id)
    stub.faults.extend([dropped, refused, refused, unavailable])
    assert job.wait().state == "succeeded"


def test_wait_gives_up_on_a_lab_that_stays_away(
    client: gpulab.Client, stub: StubLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = client.job(stub.add().id)
    monkeypatch.setattr(pauses, "time", Clock(step_seconds=10))
    stub.faults.extend([refused] * 100)
    with pytest.raises(gpulab.LabUnreachable, match="no lab answers at http://lab: connection refused"):
        job.wait(patience_seconds=60)
    assert 100 - len(stub.faults) == 7


def test_wait_ends_at_its_timeout_with_the_job_untouched(
    client: gpulab.Client, stub: StubLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = client.job(stub.add().id)
    monkeypatch.setattr(following, "time", Clock(step_seconds=1))
    with pytest.raises(TimeoutError, match="not final after 5 s"):
        job.wait(timeout=5)
    assert job.state == "queued"


def test_wait_does_not_spin_on_a_server_that_does_not_hold_the_answer(
    client: gpulab.Client, stub: StubLab, sleeps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = client.job(stub.add().id)
    monkeypatch.setattr(following, "time", Clock(step_seconds=0.01))
    with pytest.raises(gpulab.WaitTimeout):
        job.wait(timeout=5)
    assert len(stub.requests) > 100
    assert len(sleeps) > len(stub.requests) - 10


def test_refresh_without_a_change_keeps_the_job(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add(state="running").id)
    assert job.refresh().state == "running"
    stub.change(job.id, state="succeeded")
    assert job.refresh().state == "succeeded"


def test_logs_are_read_to_their_present_end(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add(state="running").id)
    stub.log = "one\n"
    stub.log_pieces.extend(["zwei ä\n"])
    assert "".join(job.logs()) == "one\nzwei ä\n"
    assert "".join(job.logs(offset=4)) == "zwei ä\n"


def test_following_logs_goes_on_until_the_job_is_final(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add(state="succeeded").id)
    stub.log_pieces.extend(["", "one\n", "", "two\n"])
    stub.faults.append(refused)
    assert "".join(job.logs(follow=True)) == "one\ntwo\n"


def test_stream_is_joined_again_where_it_broke(client: gpulab.Client, stub: StubLab) -> None:
    stub.streams.append(stream_of(b'id: 5\nevent: job\ndata: {"id": "a"}\n\n', b"id: 6\nda"))
    stub.streams.append(stream_of(b'id: 6\nevent: job\ndata: {"id": "b"}\n\n', error=False))
    stub.streams.append(goodbye())
    changes = client.stream()
    assert [(change.id, change.event, change.data) for change in changes] == [
        ("5", "job", {"id": "a"}),
        ("6", "job", {"id": "b"}),
    ]
    assert [request.headers.get("last-event-id") for request in stub.requests] == [None, "5", "6"]


def test_stream_of_a_job_starts_after_a_given_id(client: gpulab.Client, stub: StubLab) -> None:
    stub.streams.append(goodbye())
    job = client.job(stub.add().id)
    assert list(job.stream(last_event_id="41")) == []
    assert stub.requests[-1].headers["last-event-id"] == "41"
    assert stub.requests[-1].url.path == f"/v1/jobs/{job.id}/stream"


def test_stream_waits_as_long_as_the_lab_wishes(client: gpulab.Client, stub: StubLab, sleeps: list[float]) -> None:
    stub.streams.extend([stream_of(b"retry: 7000\n\n"), goodbye()])
    assert list(client.stream()) == []
    assert sleeps == [7.0]


def test_stream_gives_up_on_a_lab_that_stays_away(
    client: gpulab.Client, stub: StubLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "time", Clock(step_seconds=10))
    stub.faults.extend([dropped] * 100)
    with pytest.raises(gpulab.LabUnreachable, match="could not reconnect"):
        list(client.stream(patience_seconds=30))


def test_stream_that_is_refused_says_why(client: gpulab.Client, stub: StubLab) -> None:
    stub.faults.append(lambda _: problem(403, "forbidden", "not yours"))
    with pytest.raises(gpulab.Forbidden, match="not yours"):
        list(client.stream())


def test_leaving_a_stream_early_closes_its_connection(client: gpulab.Client, stub: StubLab) -> None:
    response = stream_of(b"id: 1\ndata: {}\n\n", b"id: 2\ndata: {}\n\n")
    stub.streams.append(response)
    changes = client.stream()
    assert next(changes).id == "1"
    changes.close()  # type: ignore[attr-defined] # the iterator is a generator
    assert response.is_closed


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_events_are_the_same_however_the_network_cuts_them(size: int, newline: str) -> None:
    lines = (": hello", "id: 1", "event: job", 'data: {"text":', 'data: "ä"}', "", "id: 2", "", "data: 3", "", "")
    raw = newline.join(lines).encode()
    parser = EventParser()
    found = [change for at in range(0, len(raw), size) for change in parser.feed(raw[at : at + size])]
    found += parser.feed(b"\n")
    assert [(change.id, change.event, change.data) for change in found] == [
        ("1", "job", {"text": "ä"}),
        ("2", "message", {"value": 3}),
    ]


def test_endless_event_is_refused_before_it_fills_the_memory() -> None:
    parser = EventParser()
    parser.feed(b"data: " + b"x" * 900_000 + b"\n")
    with pytest.raises(gpulab.UnexpectedAnswer, match="longer than"):
        parser.feed(b"data: " + b"x" * 200_000)
