"""The command line against a small lab behind a real socket."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from gpulab.cli import assemble
from gpulab.cli.live.card import curve_lines
from gpulab.schemas import SeriesRead
from tests.unit.gpulab.command import Ran
from tests.unit.gpulab.stub_lab import StubLab, json_lines, problem, series


def sent(stub: StubLab) -> dict[str, object]:
    order: dict[str, object] = json.loads(stub.requests[-1].content)
    return order


def test_submit_builds_the_spec_from_file_then_parameters(
    run: Callable[..., Ran], stub: StubLab, tmp_path: Path
) -> None:
    (tmp_path / "spec.yaml").write_text("steps: 3\nnested: {a: 1}\n")
    ran = run("submit", "echo", "--spec", "spec.yaml", "-p", "nested.b=true", "-p", "lr=1e-3", "-p", "word=hello")
    assert ran.code == 0
    assert re.fullmatch(r"[0-9a-f-]{36}  echo queued\n", ran.out)
    assert sent(stub)["spec"] == {"steps": 3, "nested": {"a": 1, "b": True}, "lr": 1e-3, "word": "hello"}


def test_submit_passes_every_option_on(run: Callable[..., Ran], stub: StubLab) -> None:
    options = [
        "--seed",
        "4",
        "--name",
        "n",
        "--tag",
        "a",
        "--tag",
        "b",
        "--priority",
        "low",
        "--time-limit",
        "2h",
        "--gpus",
        "1",
        "--exclusive",
    ]
    assert run("submit", "echo", "--spec", '{"steps": 1}', *options).code == 0
    assert sent(stub) == {
        "experiment": "echo",
        "spec": {"steps": 1},
        "seed": 4,
        "name": "n",
        "tags": ["a", "b"],
        "priority": "low",
        "time_limit_seconds": 7200,
        "gpus": 1,
        "exclusive": True,
    }


def test_submit_takes_a_file_that_names_its_experiment(run: Callable[..., Ran], stub: StubLab, tmp_path: Path) -> None:
    (tmp_path / "order.yaml").write_text("experiment: echo\nseed: 5\nname: of file\nspec:\n  steps: 2\n")
    assert run("submit", "order.yaml", "--seed", 6).code == 0
    assert sent(stub) == {"experiment": "echo", "seed": 6, "name": "of file", "spec": {"steps": 2}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["submit", "missing.yaml"], "cannot read missing.yaml: No such file or directory"),
        (["submit", "list.yaml"], "list.yaml must contain a mapping, not list"),
        (["submit", "broken.yaml"], "broken.yaml, line 1 is neither YAML nor JSON"),
        (["submit", "nameless.yaml"], "nameless.yaml must name its experiment"),
        (["submit", "extra.yaml"], "extra.yaml, line 2: unknown key 'sed'; known: experiment, spec, seed"),
        (["submit", "echo", "--spec", "{"], "--spec is not a JSON object"),
        (["submit", "echo", "-p", "steps"], "-p 'steps' must look like key=value"),
        (["submit", "echo", "-p", "a=1", "-p", "a.b=1"], "-p a.b: a is not an object"),
        (["submit", "echo", "--time-limit", "soon"], "--time-limit 'soon' must look like"),
        (["submit", "echo", "--seed", "x"], "--seed"),
        (["submit", "echo", "--spec", "dates.yaml"], "dates.yaml, line 1: when: 2030-01-01 is a date in YAML"),
        (["submit"], "Missing argument"),
        (["status", "17"], "no run has the id or name '17'"),
        (["status", "@last"], "you have no jobs yet"),
        (["nothing"], "No such command 'nothing'"),
        (["run", "echo"], "use `gpulab submit echo` (in the lab) or `gpulab run echo --local`"),
        (["status", "--url", "ftp://x"], "the lab's address must look like"),
        (["status", "--token-file", "nowhere"], "the token file nowhere does not exist"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    run: Callable[..., Ran], tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "broken.yaml").write_text("{")
    (tmp_path / "nameless.yaml").write_text("spec: {}")
    (tmp_path / "extra.yaml").write_text("experiment: echo\nsed: 1")
    (tmp_path / "dates.yaml").write_text("when: 2030-01-01")
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1
    as_json = run(*arguments, "--json")
    assert (as_json.code, as_json.out) == (2, "")
    assert message in json.loads(as_json.err)["message"]


def test_refusal_names_field_limit_and_value_and_exits_3(run: Callable[..., Ran]) -> None:
    ran = run("submit", "echo", "-p", "steps=5000")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "gpulab: spec.steps: Input should be less than or equal to 1000 (got 5000)\n"


def test_refusal_as_json_carries_the_problem_on_stderr(run: Callable[..., Ran]) -> None:
    ran = run("submit", "echo", "-p", "steps=5000", "--json")
    assert (ran.code, ran.out) == (3, "")
    error = json.loads(ran.err)
    assert (error["error"], error["exit_code"]) == ("InvalidRequest", 3)
    assert error["problem"]["errors"][0]["path"] == "spec.steps"


def test_unreachable_lab_exits_4(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpulab.cli.session.RETRY_SECONDS", 0.0)
    ran = run("status", "--url", "http://127.0.0.1:1")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.startswith("gpulab: no lab answers at http://127.0.0.1:1: ")


def test_dry_run_shows_the_order_and_queues_nothing(run: Callable[..., Ran], stub: StubLab) -> None:
    ran = run("submit", "echo", "-p", "steps=3", "--dry-run")
    assert ran.code == 0
    assert re.search(r"^spec\.steps +3$", ran.out, re.MULTILINE)
    assert json.loads(run("submit", "echo", "--dry-run", "--json").out)["experiment"] == "echo"
    assert stub.jobs == {}


def test_status_lists_jobs_with_whole_ids(run: Callable[..., Ran], stub: StubLab) -> None:
    long_name = "x" * 150
    job = stub.add(name=long_name, state="running", progress={"fraction": 0.5, "message": "step 5"})
    ran = run("status")
    assert ran.out.splitlines()[0].split() == ["JOB", "EXPERIMENT", "NAME", "STATE", "DONE", "OWNER", "AGE", "MESSAGE"]
    assert ran.out.splitlines()[1].split()[:6] == [str(job.id), "echo", long_name, "running", "50%", "ada"]
    assert [listed["id"] for listed in json.loads(run("status", "--json").out)] == [str(job.id)]
    assert run("status", "--state", "failed").out == "No runs found.\n"


def test_status_of_one_job_shows_spec_and_result(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(state="succeeded", spec={"steps": 3}, result={"loss": 0.5, "curve": list(range(1000))})
    ran = run("status", job.id)
    assert re.search(r"^result\.loss +0\.5$", ran.out, re.MULTILINE)
    assert "...] (1,000 values)" in ran.out
    assert json.loads(run("status", "@last", "--json").out)["result"]["curve"][-1] == 999
    assert not re.search("^gpu ", ran.out, re.MULTILINE)


def test_status_of_one_job_names_its_gpus(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(state="running", gpu_uuids=["GPU-1", "GPU-2"], gpu_names=["emulated T4", "Tesla T4"])
    assert re.search("^gpu +emulated T4, Tesla T4$", run("status", job.id).out, re.MULTILINE)


def test_status_of_a_job_that_ran_out_of_memory_says_where_and_what_would_fit(
    run: Callable[..., Ran], stub: StubLab
) -> None:
    gib = 2**30
    unknown = ("device_used_bytes", "device_total_bytes", "snapshot", "inside_reservation", "fragmentation_bytes")
    failure = {
        **dict.fromkeys(unknown),
        "device": "cuda",
        "phase": "backward",
        "module": "layer4.2.conv2 (Conv2d)",
        "requested_bytes": gib,
        "allocated_bytes": 13 * gib,
        "reserved_bytes": 14 * gib,
        "limit_bytes": 15 * gib,
        "predicted_peak_bytes": 16 * gib,
        "largest_tensors": [
            {"name": "input of conv1", "kind": "activation", "shape": [8, 3], "dtype": "float32", "size_bytes": gib}
        ],
        "edits": [
            {
                "change": {"batch_size": 74},
                "reason": "It fits.",
                "peak_device_bytes": {"low_bytes": 13 * gib, "likely_bytes": 14 * gib, "high_bytes": 15 * gib},
                "fits": True,
            }
        ],
        "reasons": {},
    }
    job = stub.add(state="failed", cause="out_of_memory", message="out of memory in backward", failure=failure)
    ran = run("status", job.id)
    assert re.search(r"^layer +layer4\.2\.conv2 \(Conv2d\)$", ran.out, re.MULTILINE)
    assert re.search(r"^input of conv1 +activation +8 × 3 +1\.0 GiB$", ran.out, re.MULTILINE)
    assert re.search(r"^batch_size=74 +14\.0 GiB +yes +It fits\.$", ran.out, re.MULTILINE)
    assert "device used" not in ran.out


def test_unknown_job_exits_3(run: Callable[..., Ran]) -> None:
    assert run("status", uuid4()).code == 3


def test_watch_prints_each_change_and_succeeds_with_the_job(run: Callable[..., Ran], stub: StubLab) -> None:
    half = {"state": "running", "progress": {"fraction": 0.5, "message": "half"}}
    job = stub.add({"state": "leased"}, half, half | {"seed": 1}, {"state": "succeeded"})
    ran = run("watch", job.id)
    assert ran.code == 0
    assert [line.split(maxsplit=1)[1] for line in ran.out.splitlines()] == [
        "queued",
        "starting",
        "running   50% half",
        "succeeded",
    ]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_watch_of_a_job_that_does_not_succeed_exits_1(run: Callable[..., Ran], stub: StubLab, state: str) -> None:
    job = stub.add({"state": state, "message": "out of luck"})
    ran = run("watch", job.id)
    assert ran.code == 1
    assert "out of luck" in ran.out


def test_watch_as_json_is_one_object_a_change(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add({"state": "running"}, {"state": "succeeded", "result": {"x": 1}})
    seen = json_lines(run("watch", job.id, "--json").out)
    assert [version["state"] for version in seen] == ["queued", "running", "succeeded"]
    assert seen[-1]["result"] == {"x": 1}


def test_submit_and_wait_as_json_prints_only_the_final_job(run: Callable[..., Ran], stub: StubLab) -> None:
    original = stub.add

    def add(*changes: dict[str, object], **facts: object) -> object:
        return original({"state": "failed", "cause": "error"}, **facts)

    stub.add = add  # type: ignore[method-assign, assignment] # every job of this lab fails
    ran = run("submit", "echo", "--wait", "--json")
    assert ran.code == 1
    (final,) = json_lines(ran.out)
    assert final["cause"] == "error"


def test_logs_are_printed_as_they_are(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(state="succeeded")
    stub.log = "one\ntwo [bold]\n"
    assert run("logs", job.id).out == stub.log
    assert json_lines(run("logs", "-f", "@last", "--json").out) == [{"text": stub.log}]


def test_json_carries_no_code_that_a_terminal_takes(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(state="succeeded")
    stub.log = "\x1b]52;c;aGk=\x07 \x9d0;title\x9c"
    out = run("logs", job.id, "--json").out
    assert out.strip().isprintable()
    assert json_lines(out) == [{"text": stub.log}]


def test_cancel_takes_several_jobs(run: Callable[..., Ran], stub: StubLab) -> None:
    ids = [str(stub.add().id) for _ in range(2)]
    assert run("cancel", *ids).out == f"{ids[0]}  cancelled\n{ids[1]}  cancelled\n"
    assert {job.state for job in stub.jobs.values()} == {"cancelled"}


def test_retry_prints_the_new_job(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(state="failed")
    again = json.loads(run("retry", job.id, "--json").out)
    assert again["retry_of"] == str(job.id)


def test_retry_waits_for_the_one_run_that_it_was_told_to(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add(state="failed")
    original = stub.add
    stub.add = lambda **facts: original({"state": "succeeded"}, **facts)  # type: ignore[method-assign]
    ran = run("retry", job.id, "--wait", "--json")
    assert (ran.code, [one["state"] for one in json_lines(ran.out)]) == (0, ["succeeded"])
    assert "--wait follows one run" in run("retry", job.id, job.id, "@last", "--wait").err


def test_get_fetches_all_or_the_named_ones(run: Callable[..., Ran], stub: StubLab, tmp_path: Path) -> None:
    job = stub.add(state="succeeded")
    stub.files = {"a.txt": b"A", "b.txt": b"B"}
    assert run("get", job.id, "--to", "all").out == "all/a.txt\nall/b.txt\n"
    assert (tmp_path / "all" / "b.txt").read_bytes() == b"B"
    assert json.loads(run("get", job.id, "b.txt", "--to", "one", "--json").out)["files"] == ["one/b.txt"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["b.txt"]
    assert run("get", job.id, "c.txt").code == 3
    assert "b.txt" in run("get", job.id, "--list").out


def test_folder_that_cannot_be_made_is_one_line(run: Callable[..., Ran], stub: StubLab, tmp_path: Path) -> None:
    job = stub.add(state="succeeded")
    stub.files = {"a.txt": b"A"}
    (tmp_path / "taken").touch()
    ran = run("get", job.id, "--to", "taken")
    assert (ran.code, ran.out) == (2, "")
    assert "File exists: 'taken'" in ran.err.splitlines()[-1]


def test_experiments_lists_the_catalogue(run: Callable[..., Ran]) -> None:
    assert run("experiments").out.splitlines()[1].split() == ["echo", "none", "Echo"]
    assert [found["slug"] for found in json.loads(run("experiments", "--json").out)] == ["echo"]


def test_experiment_shows_fields_with_bounds_and_sentences(run: Callable[..., Ran]) -> None:
    out = run("experiments", "echo").out
    assert "\nsteps  integer, default 10, >= 1, <= 1000\n    How many steps to take.\n" in out
    assert "\noptimizer.kind  one of, required, sgd, adam\n    Which rule.\n" in out
    assert "\noptimizer  object\n    How to step.\n" in out
    assert "\noptimizer.rates  list of number, default [0.1], each > 0\n" in out
    assert re.search(r"^loss +nat +min +Training loss\.$", out, re.MULTILINE)


def test_drain_waits_until_nothing_runs_on_the_machine(
    run: Callable[..., Ran], stub: StubLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = stub.nodes[0] | {"state": "draining"}
    idle = busy | {"slots_used": 0, "gpus": [busy["gpus"][0] | {"memory_reserved_bytes": 0}]}
    looks = iter([[busy | {"slots_used": 0}], [busy | {"gpus": idle["gpus"]}], [idle]])
    monkeypatch.setattr("gpulab.cli.nodes.time.sleep", lambda _: setattr(stub, "nodes", next(looks)))
    ran = run("nodes", "drain", "node-1", "--wait")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("node-1  draining, 0 of 2 slots")
    assert next(looks, None) is None


def test_no_token_is_made_where_its_file_would_overwrite_another(
    run: Callable[..., Ran], stub: StubLab, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("keep me")
    ran = run("nodes", "token", "gpu-2", "--to", "taken")
    assert ran.code == 2
    assert ran.err == "gpulab: taken already exists: name a new file\n"
    assert (tmp_path / "taken").read_text() == "keep me"
    assert stub.requests == []


def test_nodes_show_what_was_not_measured_as_unknown(run: Callable[..., Ran]) -> None:
    out = run("nodes").out
    assert "node-1  up, 1 of 2 slots, 1 GPU" in out
    assert re.search(r"Test GPU +1\.0 GiB of 8\.0 GiB +\? +7 %", out)
    assert json.loads(run("nodes", "--json").out)[0]["gpus"][0]["latest"]["device_used_bytes"] is None


def test_environment_lists_packages_by_a_part_of_their_name(run: Callable[..., Ran], stub: StubLab) -> None:
    assert run("environment", "TOR").out.split("\n")[0] == "Python 3.11.7 on node-1, node-2"
    assert run("environment", "TOR").out.split()[-4:] == ["PACKAGE", "VERSION", "torch", "2.14.1"]
    assert json.loads(run("environment", "--json").out) == stub.environments
    stub.environments = []
    assert run("environment").out == "no node can run programs now\n"


def test_queue_says_why_in_words(run: Callable[..., Ran], stub: StubLab) -> None:
    job = stub.add()
    out = run("queue", job.id).out
    assert out.startswith("All slots are taken.\n")
    assert re.search(r"^place +3$", out, re.MULTILINE)
    assert json.loads(run("queue", job.id, "--json").out)["position"] == 3


def test_interrupted_command_exits_130(run: Callable[..., Ran], stub: StubLab, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpulab.client.Job.wait", interrupt)
    ran = run("watch", stub.add().id)
    assert (ran.code, ran.out) == (130, "")


def test_text_of_the_lab_cannot_send_terminal_codes(run: Callable[..., Ran], stub: StubLab) -> None:
    stub.add(name="red \x1b[31m", message="[bold]plain[/bold]")
    out = run("status").out
    assert "\x1b" not in out
    assert "[bold]plain[/bold]" in out


def test_curve_shows_extremes_and_the_last_value() -> None:
    lines = curve_lines(SeriesRead.model_validate(series("loss", [3.0, 1.0, 2.0])))
    assert lines[0] == "loss  2 at step 2"
    assert lines[1].endswith(" 3")
    assert lines[-1].endswith(" 1")


def test_curve_of_a_loss_that_diverged_shows_its_finite_part() -> None:
    values = [3.0, 1.0, None]
    lines = curve_lines(SeriesRead.model_validate(series("loss", values, nonfinite={"2": "inf"})))
    assert lines[0] == "loss  inf at step 2"
    assert [lines[1].split()[-1], lines[-1].split()[-1]] == ["3", "1"]


def test_every_command_has_a_sentence() -> None:
    commands = assemble().registered_commands
    assert [command for command in commands if not (command.callback and command.callback.__doc__)] == []


def test_faults_of_the_lab_exit_3(run: Callable[..., Ran], stub: StubLab) -> None:
    stub.faults.append(lambda _: problem(500, "internal", "the lab stumbled"))
    ran = run("nodes")
    assert (ran.code, ran.err) == (3, "gpulab: the lab stumbled\n")
