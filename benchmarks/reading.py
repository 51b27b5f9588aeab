"""Reading a series of 10,000 points over HTTP."""

import json
import time
from uuid import UUID

import psycopg

from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from benchmarks.load import Connection, request
from tests.lab import Lab

POINTS = 10_000
INSERT = """
    INSERT INTO metric_chunks (job_id, attempt, name, steps, times, values)
    SELECT %(job)s, 1, 'loss', array_agg(i ORDER BY i), array_agg(1e9 + i / 7.0::float8 ORDER BY i),
           array_agg(1 / (1.0::float8 + i) ORDER BY i)
    FROM generate_series(0, %(points)s - 1) AS i GROUP BY i / %(each)s ORDER BY min(i)
"""


def measure(*, quick: bool) -> list[Figure]:
    """As a run of 100 steps a second leaves the series, in pieces of five points; and as one piece."""
    rounds = 10 if quick else 100
    with running_lab() as lab:
        pieces, whole = series_in(lab, 5), series_in(lab, POINTS)
        connection = Connection(lab.port)
        in_pieces: list[float] = []
        at_once: list[float] = []
        for _ in range(rounds):
            in_pieces.append(read(lab, connection, pieces))
            at_once.append(read(lab, connection, whole))
        connection.close()
    beside = {"in_one_piece_ms": median_figure("", "", "", "lower", at_once).value}
    what = "reading a series of 10,000 points over HTTP, stored in 2,000 pieces as a run of 100 steps/s leaves it"
    return [median_figure("reading", what, "ms", "lower", in_pieces, bar=50, aim=20, beside=beside)]


def series_in(lab: Lab, points_a_piece: int, *, points: int = POINTS) -> str:
    """A finished job with the series in pieces of that size."""
    job_id = lab.submit("stopwatch")
    lab.wait_for(job_id, "succeeded")
    with psycopg.connect(lab.postgres.url) as connection:
        connection.execute(INSERT, {"job": UUID(job_id), "points": points, "each": points_a_piece})
        connection.commit()
    return job_id


def read(lab: Lab, connection: Connection, job_id: str) -> float:
    """Milliseconds to the last byte."""
    start = time.perf_counter()
    answer = connection.call(request("GET", f"/v1/jobs/{job_id}/metrics?names=loss", token=lab.token))
    elapsed = time.perf_counter() - start
    assert len(json.loads(answer.body)["series"][0]["values"]) == POINTS
    return elapsed * 1000
