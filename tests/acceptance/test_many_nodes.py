"""Twenty machines of four GPUs, each a real worker on a queue of its own: every one gets jobs, nothing runs twice."""

from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from tests.fakes.nvml import GIB
from tests.lab import wait_until
from tests.simulated import COUNT, GPUS, SimulatedLab, doubled, overfull

# Submitted slowly, the jobs would not fill every machine.
pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(240)]

SHAPES = ({"gpus": 1, "gpu_memory_bytes": 30 * GIB}, {"gpus": 1, "exclusive": True}, {"gpus": 2, "exclusive": True})


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedLab]:
    made = SimulatedLab(tmp_path_factory.mktemp("crowd"))
    try:
        yield made.start_all(seconds=0.2)
    finally:
        made.stop()


def test_jobs_reach_every_machine_and_none_runs_twice(crowd: SimulatedLab) -> None:
    jobs = [crowd.submit("probe-gpu", **SHAPES[number % 3]) for number in range(240)]  # type: ignore[arg-type]
    wait_until(lambda: crowd.unfinished() == 0, timeout_seconds=120, what="every job done")
    with psycopg.connect(crowd.postgres.url) as session:
        ended = session.execute("SELECT id::text, state, node, attempt FROM jobs").fetchall()
        assert Counter(row[0] for row in ended) == Counter(jobs)
        assert {row[1] for row in ended} == {"succeeded"}
        assert {row[2] for row in ended} == {f"sim-{number:02}" for number in range(COUNT)}
        assert {row[3] for row in ended} == {1}
        assert doubled(session) == []
        assert overfull(session) == []


def test_inventory_names_every_gpu_of_every_machine(crowd: SimulatedLab) -> None:
    nodes = crowd.client.get("/v1/nodes").json()["items"]
    assert {node["state"] for node in nodes} == {"up"}
    gpus = crowd.client.get("/v1/gpus").json()["items"]
    assert Counter(gpu["node"] for gpu in gpus) == {f"sim-{number:02}": GPUS for number in range(COUNT)}
