"""What the client asks and understands."""

import inspect
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import BaseModel

import gpulab
from gpulab.client.users import Users
from gpulab.version import VERSION, fits
from tests.unit.gpulab.stub_lab import Fault, StubLab, dropped, make_job, problem, refused, series, unavailable


class Spec(BaseModel):
    steps: int = 5


def test_submit_sends_what_was_given_and_nothing_else(client: gpulab.Client, stub: StubLab) -> None:
    job = client.submit("echo", {"steps": 3}, seed=7, tags=("a", "b"))
    assert json.loads(stub.requests[0].content) == {
        "experiment": "echo",
        "spec": {"steps": 3},
        "seed": 7,
        "tags": ["a", "b"],
    }
    assert (job.state, job.experiment, job.spec) == ("queued", "echo", {"steps": 3})


def test_submit_takes_a_pydantic_spec(client: gpulab.Client) -> None:
    assert client.submit("echo", Spec()).spec == {"steps": 5}


def test_submission_whose_answer_was_lost_is_sent_again_and_queued_once(client: gpulab.Client, stub: StubLab) -> None:
    def accept_and_drop(request: httpx.Request) -> httpx.Response:
        stub._submit(request)
        return dropped(request)

    stub.faults.append(accept_and_drop)
    job = client.submit("echo")
    assert list(stub.jobs) == [job.id]
    assert len(stub.requests) == 2


def test_every_submission_has_a_key_of_its_own(client: gpulab.Client, stub: StubLab) -> None:
    assert client.submit("echo").id != client.submit("echo").id


def test_same_key_gives_the_same_job_and_another_body_is_a_conflict(client: gpulab.Client) -> None:
    first = client.submit("echo", idempotency_key="k")
    assert client.submit("echo", idempotency_key="k").id == first.id
    with pytest.raises(gpulab.Conflict):
        client.submit("echo", seed=1, idempotency_key="k")


def test_invalid_spec_names_field_limit_and_value(client: gpulab.Client) -> None:
    with pytest.raises(gpulab.InvalidRequest) as refusal:
        client.submit("echo", {"steps": 5000})
    assert str(refusal.value) == "spec.steps: Input should be less than or equal to 1000 (got 5000)"
    assert refusal.value.slug == "invalid-spec"
    assert refusal.value.errors[0].limit == {"le": 1000}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_spec_that_json_cannot_carry_never_leaves(client: gpulab.Client, stub: StubLab, value: object) -> None:
    with pytest.raises(gpulab.ConfigurationError, match="cannot be sent as JSON"):
        client.submit("echo", {"rate": value})
    assert stub.requests == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda client: client.users.change_user("u", weight=float("inf")), "weight: inf is not a finite number"),
        (lambda client: client.users.create_user("caf\udce9"), r"name: 'caf\\udce9' is not text in UTF-8"),
        (lambda client: list(client.jobs(owner="caf\udce9")), r"owner: 'caf\\udce9' is not text in UTF-8"),
        (lambda client: client.users.get("caf\udce9"), r"'caf\\udce9' is not text in UTF-8"),
        (lambda client: client.users.give_grade("a", "u", points=float("nan")), "points: nan is not a finite number"),
        (lambda client: client.users.give_grade("a", "u", rubric={"x": -float("inf")}), "-inf is not a finite number"),
    ],
)
def test_what_cannot_be_sent_is_named_and_never_leaves(
    client: gpulab.Client, stub: StubLab, call: Callable[[gpulab.Client], object], words: str
) -> None:
    with pytest.raises(gpulab.ConfigurationError, match=words):
        call(client)
    assert stub.requests == []


@pytest.mark.parametrize("key", ["", "two words", "a\r\nX-Evil: 1", "ä", "x" * 201])
def test_idempotency_key_that_is_no_header_value_is_refused(client: gpulab.Client, stub: StubLab, key: str) -> None:
    with pytest.raises(gpulab.ConfigurationError, match="visible ASCII"):
        client.submit("echo", idempotency_key=key)
    assert stub.requests == []


def test_dry_run_queues_nothing(client: gpulab.Client, stub: StubLab) -> None:
    assert client.dry_run("echo", {"steps": 3}, seed=1).spec == {"steps": 3}
    assert stub.jobs == {}


def test_jobs_come_page_by_page_and_stop_at_the_limit(client: gpulab.Client, stub: StubLab) -> None:
    known = [stub.add().id for _ in range(7)][::-1]
    stub.page_size = 3
    assert [job.id for job in client.jobs()] == known
    assert [job.id for job in client.jobs(limit=4)] == known[:4]
    assert stub.requests[-1].url.params["limit"] == "1"


def test_jobs_can_be_filtered(client: gpulab.Client, stub: StubLab) -> None:
    stub.add(state="failed")
    running = stub.add(state="running")
    assert [job.id for job in client.jobs(state="running")] == [running.id]
    assert len(list(client.jobs(state=["running", "failed"]))) == 2


def test_pages_are_fetched_only_as_far_as_somebody_reads(client: gpulab.Client, stub: StubLab) -> None:
    for _ in range(5):
        stub.add()
    stub.page_size = 2
    jobs = client.jobs()
    next(jobs)
    assert len(stub.requests) == 1


def test_listed_job_loads_its_result_when_asked(client: gpulab.Client, stub: StubLab) -> None:
    stub.add(state="succeeded", result={"loss": 1.5})
    (job,) = client.jobs()
    assert job.result == {"loss": 1.5}


def test_unknown_job_is_not_found(client: gpulab.Client) -> None:
    with pytest.raises(gpulab.NotFound):
        client.job(uuid4())


def test_ids_and_names_cannot_become_path_syntax(client: gpulab.Client, stub: StubLab) -> None:
    with pytest.raises(gpulab.NotFound):
        client.experiment("../jobs?x=1")
    assert stub.requests[0].url.raw_path == b"/v1/experiments/..%2Fjobs%3Fx%3D1"


def test_wrong_token_is_unauthenticated(stub: StubLab) -> None:
    client = gpulab.Client("http://lab", "glab_wrong", transport=httpx.MockTransport(stub.handle))
    with client, pytest.raises(gpulab.Unauthenticated, match="send a valid token"):
        client.me()


def test_catalogue_nodes_queue_and_me_are_read(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add().id)
    assert [found.slug for found in client.experiments()] == ["echo"]
    assert client.experiment("echo").metrics[0].unit == "nat"
    assert client.nodes()[0].gpus[0].uuid == "GPU-1"
    assert job.queue().reason == "no_free_slot"
    assert client.me().name == "ada"


def test_cancel_shows_the_new_state_and_retry_gives_a_new_job(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add().id)
    assert job.cancel().state == "cancelled"
    again = job.retry()
    assert again.id != job.id
    assert again.data.retry_of == job.id


@pytest.mark.parametrize("fault", [dropped, refused, unavailable])
def test_reads_are_tried_again_while_the_lab_is_away(
    client: gpulab.Client, stub: StubLab, sleeps: list[float], fault: Any
) -> None:
    stub.faults.extend([fault, fault])
    assert client.me().name == "ada"
    assert len(sleeps) == 2


def test_a_call_that_may_have_worked_is_not_repeated_when_that_could_double_it(
    client: gpulab.Client, stub: StubLab
) -> None:
    job = client.job(stub.add().id)
    stub.faults.append(dropped)
    with pytest.raises(gpulab.LabUnreachable):
        job.retry()
    stub.faults.append(refused)
    assert job.retry().data.retry_of == job.id


def test_server_that_asks_for_a_pause_gets_it(client: gpulab.Client, stub: StubLab, sleeps: list[float]) -> None:
    stub.faults.append(lambda _: httpx.Response(429, headers={"Retry-After": "4"}))
    client.me()
    assert sleeps == [4.0]


def test_server_error_is_not_repeated(client: gpulab.Client, stub: StubLab) -> None:
    stub.faults.append(lambda _: problem(500, "bug"))
    with pytest.raises(gpulab.ServerError):
        client.me()
    assert len(stub.requests) == 1


def test_answer_of_a_stranger_is_named_as_such(client: gpulab.Client, stub: StubLab) -> None:
    stub.faults.extend([lambda _: httpx.Response(404, text="<html>"), lambda _: httpx.Response(200, text="<html>")])
    with pytest.raises(gpulab.UnexpectedAnswer, match="is this a gpulab"):
        client.me()
    with pytest.raises(gpulab.UnexpectedAnswer, match="as MeRead"):
        client.me()


def test_metrics_grow_by_what_is_new(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add().id)
    stub.series = [series("loss", [3.0, None], nonfinite={"1": "nan"})]
    first = job.metrics()
    stub.series = [
        series("accuracy", [0.5]),
        series("loss", [3.0, None, 1.0, None], nonfinite={"1": "nan", "3": "inf"}),
    ]
    metrics = job.metrics(since=first)
    assert json.loads(stub.requests[-1].url.params["after"]) == {"loss": 2}
    assert (metrics.names, metrics["accuracy"].values) == (["accuracy", "loss"], [0.5])
    loss = metrics["loss"]
    assert (loss.steps, loss.nonfinite, loss.total_points) == ([0, 1, 2, 3], {1: "nan", 3: "inf"}, 4)
    stub.series = [series("loss", [2.5])]
    assert job.metrics(since=metrics)["loss"].values == [2.5], "a later attempt took the others back"


def test_metrics_that_grew_much_are_thinned_again(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add().id)
    stub.series = [series("loss", [1.0] * 21)]
    grown = job.metrics()
    job.metrics(since=grown, max_points=10)
    assert "after" not in stub.requests[-1].url.params


def test_metrics_are_found_by_name_and_asked_for_by_name(client: gpulab.Client, stub: StubLab) -> None:
    stub.series = [series("loss", [2.0, 1.0]), series("accuracy", [0.1, 0.5])]
    metrics = client.job(stub.add().id).metrics(names=["loss", "accuracy"], max_points=10)
    assert metrics["accuracy"].values == [0.1, 0.5]
    assert dict(stub.requests[-1].url.params) == {"names": "loss,accuracy", "max_points": "10"}
    with pytest.raises(KeyError, match="there are: loss, accuracy"):
        metrics["nothing"]


def test_dataframe_joins_series_on_the_step_and_restores_what_json_cannot_say(
    stub: StubLab, client: gpulab.Client
) -> None:
    pytest.importorskip("pandas")
    stub.series = [
        series("loss", [2.0, None, None], nonfinite={"1": "inf", "2": "nan"}),
        series("accuracy", [0.1, 0.2, 0.5], steps=[0, 2, 2]),
    ]
    frame = client.job(stub.add().id).metrics().to_dataframe()
    assert frame.index.name == "step"
    assert frame["loss"].tolist()[:2] == [2.0, float("inf")]
    assert frame["accuracy"].iloc[2] == 0.5
    assert frame["accuracy"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("public", [gpulab.Client, gpulab.Job, gpulab.Study, Users])
def test_every_public_method_says_what_it_does(public: type) -> None:
    methods = dict(inspect.getmembers(public, inspect.isfunction))
    assert [name for name, method in methods.items() if not name.startswith("_") and not method.__doc__] == []


def test_query_leaves_out_what_was_not_asked(client: gpulab.Client, stub: StubLab) -> None:
    stub.add(tags=["a"])
    assert len(list(client.jobs(tag="a", text=None))) == 1
    assert dict(stub.requests[0].url.params) == {"tag": "a", "limit": "100"}


def test_one_client_serves_several_threads(client: gpulab.Client, stub: StubLab) -> None:
    known = {stub.add().id for _ in range(20)}
    with ThreadPoolExecutor(8) as threads:
        assert {job.id for job in threads.map(client.job, known)} == known


def test_card_escapes_what_the_lab_says(client: gpulab.Client, stub: StubLab) -> None:
    facts = {"name": "<script>", "state": "failed", "cause": "error", "message": "<b>boom</b>"}
    card = client.job(stub.add(**facts).id)._repr_html_()
    assert "<script>" not in card
    assert "&lt;script&gt;" in card
    assert "error: &lt;b&gt;boom&lt;/b&gt;" in card


def test_failed_job_can_raise(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add(state="failed", cause="diverged", message="loss is inf").id)
    with pytest.raises(gpulab.JobFailed, match="failed: diverged: loss is inf") as failure:
        job.raise_for_failure()
    assert failure.value.cause == "diverged"
    running = client.job(stub.add(state="running").id)
    assert running.raise_for_failure() is running


def test_repr_says_state_and_progress(client: gpulab.Client, stub: StubLab) -> None:
    job = client.job(stub.add(state="running", progress={"fraction": 0.25, "message": ""}).id)
    assert repr(job) == f"<Job {job.id} echo running 25%>"


def test_job_schema_of_the_stub_is_the_real_one() -> None:
    assert make_job().state == "queued"


PAGE = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            lambda _: httpx.Response(200, text="<html>", headers=PAGE),
            "http://lab answers with a web page and is not a lab",
        ),
        (lambda _: httpx.Response(404, text="<html>", headers=PAGE), "answers HTTP 404 with a web page"),
        (
            lambda _: httpx.Response(308, headers={"Location": "https://lab/v1/me"}),
            "http://lab redirects to https://lab/v1/me",
        ),
        (
            lambda _: httpx.Response(200, json={"service": "another"}),
            "http://lab as MeRead: id: Field required; is this a gpulab",
        ),
        (lambda _: httpx.Response(404, json={"detail": "Not Found"}), "Not Found"),
    ],
)
def test_another_service_is_told_apart(client: gpulab.Client, stub: StubLab, answer: Fault, words: str) -> None:
    stub.faults.append(answer)
    with pytest.raises(gpulab.UnexpectedAnswer) as caught:
        client.me()
    assert words in str(caught.value)
    assert "GPULAB_URL" in str(caught.value)


def test_a_lab_of_another_version_names_the_line_to_paste(client: gpulab.Client, stub: StubLab) -> None:
    stub.faults.append(lambda _: httpx.Response(200, json={}, headers={"X-Gpulab-Version": "7.3.1"}))
    with pytest.raises(gpulab.VersionMismatch) as caught:
        client.me()
    assert "pip install http://lab/client/gpulab-7.3.1-py3-none-any.whl" in str(caught.value)
    assert stub.requests[-1].headers["X-Gpulab-Client"] == VERSION


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("0.1.0", "0.1.9", True),
        ("0.1.0", "0.2.0", False),
        ("1.0.0", "0.1.0", False),
        ("0.1.0", "0.10.0", False),
        ("0.1.0.dev1", "0.1.0", True),
        ("?", "0.1.0", True),
    ],
)
def test_versions_fit_by_their_first_two_numbers(one: str, other: str, expected: bool) -> None:
    assert fits(one, other) is fits(other, one) is expected
