"""Whatever is killed, stopped or repeated in the middle of a run: the right state, each record once, nothing left."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from sqlalchemy import create_engine, select, update

from models import Job, Lease
from models.doorbell import celery_app, ring
from tests.lab import Lab, processes_below, wait_until

STEPS = 8


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    # Long enough for a worker to be started anew on a busy machine before its predecessor's leases expire.
    # The kills of this test are not the node's fault.
    settings = {"GPULAB_LEASE_SECONDS": "15", "GPULAB_FLAP_LIMIT": "100"}
    made = Lab(tmp_path_factory.mktemp("matrix"), settings=settings, durable=True)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def broken(matrix: Lab) -> Iterator[Lab]:
    """The lab, checked after each test: everything is up, no process and no folder of a run is left."""
    yield matrix
    matrix.check_alive()
    for job in matrix.client.get("/v1/jobs", params={"state": ["queued", "leased", "running"]}).json()["items"]:
        matrix.client.post(f"/v1/jobs/{job['id']}/cancel")
    wait_until(lambda: not list(processes_below(matrix.runs)), what="no process left over")
    wait_until(lambda: not left_in(matrix.runs), what=f"nothing left in {matrix.runs}")


def left_in(runs: Path) -> list[Path]:
    return [path for path in runs.iterdir() if path.is_dir()]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


class Probe:
    """A run of the probe whose steps the test lets pass."""

    def __init__(self, lab: Lab, gate: Path | None, **spec: Any) -> None:
        self.lab = lab
        self.gate = gate or Path("/nowhere")
        fields = spec.pop("fields", {})
        wanted = {"steps": STEPS, "gate": gate and str(gate), "checkpoint_every": 2, **spec}
        self.id = lab.submit("probe", wanted, **fields)

    def open(self, step: int) -> None:
        """Let it pass up to `step` and wait until that is seen over HTTP."""
        part = self.gate.with_suffix(".part")
        part.write_text(str(step))
        part.replace(self.gate)
        wait_until(lambda: self.steps()[-1:] == [step], what=f"step {step} over HTTP")

    def finish(self, *states: str) -> dict[str, Any]:
        if self.gate.parent.exists():
            self.gate.write_text(str(STEPS))
        return self.lab.wait_for(self.id, *(states or ("succeeded",)))

    def steps(self) -> list[int]:
        answer = self.lab.client.get(f"/v1/jobs/{self.id}/metrics", params={"names": "step"})
        if answer.status_code == 503:
            return []  # the database is just coming back
        series = answer.json()["series"]
        return series[0]["steps"] if series else []

    def pid(self) -> int:
        def look() -> list[int]:
            return [
                p for p in processes_below(self.lab.runs) if (Path(f"/proc/{p}/cwd").readlink().name)[:36] == self.id
            ]

        return wait_until(look, what="its process")[0]

    def events(self) -> list[str]:
        return [event["type"] for event in self.lab.client.get(f"/v1/jobs/{self.id}/events").json()["items"]]

    def assert_every_step_once(self) -> None:
        assert self.steps() == list(range(1, STEPS + 1))
        assert self.lab.job(self.id)["result"]["total"] == STEPS * (STEPS + 1) // 2


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def test_killed_job_goes_on_from_its_checkpoint(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(5)
    os.kill(probe.pid(), signal.SIGKILL)
    job = probe.finish()
    assert job["attempt"] == 2
    assert job["result"]["resumed_from"] == 4
    probe.assert_every_step_once()


def test_killed_worker_takes_its_jobs_along_and_the_next_one_clears_up(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate, child=True)
    probe.open(5)
    pid = probe.pid()
    broken.kill("worker")
    wait_until(lambda: not Path(f"/proc/{pid}/cwd").exists(), what="the job died with its worker")
    broken.start("worker")
    job = probe.finish()
    assert job["result"]["resumed_from"] == 4
    assert "job.lost" in probe.events()
    probe.assert_every_step_once()


def test_jobs_of_a_killed_zygote_are_tried_again_and_what_they_left_is_ended(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate, child=True)
    probe.open(5)
    pid = probe.pid()
    os.kill(parent_of(pid), signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}/cwd").exists(), what="the job died with its zygote")
    job = probe.finish()
    assert (job["attempt"], job["result"]["resumed_from"]) == (2, 4)
    assert "job.lost" in probe.events()
    probe.assert_every_step_once()


def test_shell_of_a_person_in_the_folder_of_the_runs_lives_on(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(3)
    shell = subprocess.Popen(["sleep", "600"], cwd=broken.runs / f"{probe.id}-1", start_new_session=True)
    job = probe.pid()
    try:
        broken.kill("worker")
        # It ends with its worker a moment later. If it came to its end before, that would count.
        wait_until(lambda: not Path(f"/proc/{job}/cwd").exists(), what="the job ended with its worker")
        broken.start("worker")
        assert probe.finish()["attempt"] == 2
        assert shell.poll() is None
    finally:
        shell.kill()
        shell.wait()


def test_result_that_a_killed_worker_could_not_report_is_reported_by_the_next(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate, checkpoint_every=0)
    probe.open(3)
    worker = broken.processes["worker"]
    # Frozen, the worker cannot see the job end; the job itself goes on.
    os.kill(worker.pid, signal.SIGSTOP)
    pid = probe.pid()
    gate.write_text(str(STEPS))
    wait_until(lambda: not Path(f"/proc/{pid}/cwd").exists(), what="the job ended")
    broken.kill("worker")
    broken.start("worker")
    job = probe.finish()
    assert job["attempt"] == 1, "the finished attempt counts, it is not run again"
    probe.assert_every_step_once()


def test_frozen_worker_loses_its_job_and_its_late_writes_are_refused(broken: Lab, gate: Path, tmp_path: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(5)
    assert probe.pid()
    frozen = broken.processes["worker"]
    other = {"GPULAB_NODE": "node-b", "GPULAB_RUNS_FOLDER": str(tmp_path / "runs-b")}
    broken.spawn("worker-b", module="worker", settings=other)
    try:
        wait_until(lambda: len(broken.client.get("/v1/nodes").json()["items"]) == 2, what="node-b")
        os.kill(frozen.pid, signal.SIGSTOP)
        wait_until(lambda: broken.job(probe.id)["attempt"] == 2, timeout_seconds=60, what="second attempt")
        job = probe.finish()
    finally:
        # Also where this fails: the tests that follow need the lab whole.
        os.kill(frozen.pid, signal.SIGCONT)
        left = broken.terminate("worker-b")
    wait_until(lambda: not list(processes_below(broken.runs)), what="the stale attempt was ended")
    assert (job["state"], job["node"], job["attempt"]) == ("succeeded", "node-b", 2)
    assert broken.job(probe.id)["result"] == job["result"]
    probe.assert_every_step_once()
    assert left == 0


def test_scheduler_may_die_at_any_time(broken: Lab, gate: Path) -> None:
    running = Probe(broken, gate)
    running.open(3)
    broken.kill("scheduler")
    waiting = Probe(broken, None)
    running.finish()
    assert broken.job(waiting.id)["state"] == "queued"
    broken.start("scheduler")
    broken.wait_for(waiting.id, "succeeded")
    running.assert_every_step_once()
    waiting.assert_every_step_once()


def test_api_may_die_at_any_time(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(3)
    broken.kill("api")
    gate.write_text(str(STEPS))
    with pytest.raises(httpx.TransportError):
        broken.job(probe.id)
    broken.start("api")
    assert probe.finish()["attempt"] == 1
    probe.assert_every_step_once()


def test_redis_may_go_and_come_back(broken: Lab, gate: Path) -> None:
    running = Probe(broken, gate)
    running.open(3)
    broken.redis.kill()
    waiting = Probe(broken, None)
    running.open(5)
    broken.redis.start()
    broken.wait_for(waiting.id, "succeeded")
    running.finish()
    running.assert_every_step_once()
    waiting.assert_every_step_once()


def test_redis_flushed_while_jobs_wait_loses_none(broken: Lab, tmp_path: Path) -> None:
    holders = [Probe(broken, tmp_path / f"gate{n}") for n in range(2)]
    for holder in holders:
        holder.open(1)
    waiting = [Probe(broken, None) for _ in range(3)]
    with redis.Redis.from_url(broken.redis.url) as client:
        client.flushall()
    for holder in holders:
        holder.finish()
    for probe in waiting:
        broken.wait_for(probe.id, "succeeded")
        probe.assert_every_step_once()


def test_postgres_may_go_and_come_back(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(3)
    broken.postgres.stop()
    gate.write_text("6")
    output = broken.runs / f"{probe.id}-1" / "records.ndjson"
    wait_until(lambda: '"step 6"' in output.read_text(), what="the job went on without a database")
    broken.postgres.start()
    broken.wait_ready()
    probe.open(6)
    job = probe.finish()
    assert job["attempt"] == 1
    probe.assert_every_step_once()


def test_postgres_killed_in_the_middle_of_a_run(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(3)
    broken.postgres.kill()
    broken.postgres.start()
    broken.wait_ready()
    probe.open(5)
    assert probe.finish()["attempt"] == 1
    probe.assert_every_step_once()


def test_message_delivered_again_runs_nothing_twice(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(2)
    engine = create_engine(broken.postgres.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        token = connection.execute(select(Lease.token).where(Lease.job_id == probe.id)).scalar_one()
    engine.dispose()
    app = celery_app(broken.redis.url)
    said = len(broken.log("worker").read_text().splitlines())
    for _ in range(3):
        ring(app, node="node-a", job_id=probe.id, lease_token=token, expires_seconds=60)  # type: ignore[arg-type]

    def refused() -> bool:
        return sum("lease.not_claimed" in line for line in broken.log("worker").read_text().splitlines()[said:]) >= 3

    # Both slots' threads are free to look at the copies while the first one supervises.
    wait_until(refused, what="three copies let go")
    probe.finish()
    assert probe.events().count("job.started") == 1
    probe.assert_every_step_once()


def test_cancel_while_queued(broken: Lab, tmp_path: Path) -> None:
    holders = [Probe(broken, tmp_path / f"gate{n}") for n in range(2)]
    for holder in holders:
        holder.open(1)
    waiting = Probe(broken, tmp_path / "gate")
    assert broken.client.post(f"/v1/jobs/{waiting.id}/cancel").status_code == 202
    assert broken.job(waiting.id)["state"] == "cancelled"
    assert broken.job(waiting.id)["attempt"] == 0
    for holder in holders:
        holder.finish()


def test_cancel_while_leased(broken: Lab, gate: Path) -> None:
    os.kill(broken.processes["worker"].pid, signal.SIGSTOP)
    try:
        probe = Probe(broken, gate)
        broken.wait_for(probe.id, "leased")
        assert broken.client.post(f"/v1/jobs/{probe.id}/cancel").status_code == 202
        assert broken.job(probe.id)["state"] == "cancelled"
    finally:
        os.kill(broken.processes["worker"].pid, signal.SIGCONT)
    assert "job.started" not in probe.events()


def test_cancel_while_running_lets_it_checkpoint(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(3)
    assert broken.client.post(f"/v1/jobs/{probe.id}/cancel").status_code == 202
    job = broken.wait_for(probe.id, "cancelled")
    assert job["cause"] is None
    assert probe.steps() == [1, 2, 3]


def test_cancel_of_a_job_that_does_not_listen_kills_it_and_its_children(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate, ignore_stop=True, child=True)
    probe.open(1)
    wait_until(lambda: len(list(processes_below(broken.runs))) >= 2, what="its child")
    broken.client.post(f"/v1/jobs/{probe.id}/cancel")
    broken.wait_for(probe.id, "cancelled")


def test_cancel_while_finishing_ends_in_one_final_state(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(STEPS)
    broken.client.post(f"/v1/jobs/{probe.id}/cancel")
    job = broken.wait_for(probe.id, "succeeded", "cancelled")
    assert (job["result"] is not None) == (job["state"] == "succeeded")
    assert sum(event in {"job.succeeded", "job.cancelled"} for event in probe.events()) == 1
    probe.finish("succeeded", "cancelled")


def test_time_limit_is_enforced_from_outside(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate, ignore_stop=True, fields={"time_limit_seconds": 1})
    job = broken.wait_for(probe.id, "failed")
    assert (job["cause"], job["attempt"]) == ("time_limit", 1)


def test_leaving_worker_hands_its_job_on(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(5)
    assert broken.terminate("worker") == 0
    assert broken.job(probe.id)["state"] == "queued"
    broken.start("worker")
    job = probe.finish()
    assert job["result"]["resumed_from"] == 4
    assert "job.requeued" in probe.events()
    probe.assert_every_step_once()


def test_job_killed_again_and_again_fails_as_lost(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    for attempt in (1, 2, 3):
        wait_until(lambda n=attempt: broken.job(probe.id)["attempt"] == n, what=f"attempt {attempt}")  # type: ignore[misc]
        broken.wait_for(probe.id, "running")
        os.kill(probe.pid(), signal.SIGKILL)
        wait_until(lambda n=attempt: probe.events().count("job.lost") == n, what="the loss")  # type: ignore[misc]
    job = broken.wait_for(probe.id, "failed")
    assert job["cause"] == "lost"


def test_waits_with_the_reason_for_a_data_set_that_no_node_has(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate, dataset="cifar10")

    def explained() -> dict[str, Any] | None:
        answer: dict[str, Any] = broken.client.get(f"/v1/jobs/{probe.id}/queue").json()
        return answer if answer["reason"] == "dataset_missing" else None

    assert "cifar10" in (wait_until(explained, what="the reason") or {})["explanation"]
    broken.client.post(f"/v1/jobs/{probe.id}/cancel")


def test_redelivery_after_expiry_finds_the_lease_gone(broken: Lab, gate: Path) -> None:
    probe = Probe(broken, gate)
    probe.open(2)
    engine = create_engine(broken.postgres.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(update(Job).where(Job.id == probe.id).values(lost_attempts=0))
        stale = connection.execute(select(Lease.token).where(Lease.job_id == probe.id)).scalar_one()
    os.kill(probe.pid(), signal.SIGKILL)
    broken.wait_for(probe.id, "queued", "leased", "running")
    ring(celery_app(broken.redis.url), node="node-a", job_id=probe.id, lease_token=stale, expires_seconds=60)  # type: ignore[arg-type]
    engine.dispose()
    assert probe.finish()["attempt"] == 2
    probe.assert_every_step_once()
