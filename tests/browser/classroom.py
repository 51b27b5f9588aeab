"""A class in the scene's lab: people, an assignment and how they stand with it, a study of its own, measured peaks."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import insert

from models import MeasuredPeak
from models.database import sync_engine
from tests.lab import Lab, wait_until

MIB = 2**20
PEOPLE = (
    ("Ada Okafor", "ada@example.org", "A", "red"),
    ("Bo Lindqvist", "bo@example.org", "A", "red"),
    ("Chen Wei", "chen@example.org", "A", "blue"),
    ("Diego Ruiz", "diego@example.org", "B", "green"),
    ("Esi Mensah", "esi@example.org", "B", "green"),
)
ERRORS = (0.11, 0.07, -0.02, 0.04, 0.03, -0.01, 0.02, 0.015, 0.0, 0.012, -0.006, 0.008)
"""What twelve runs took beyond what was predicted, as a share; the lab learns."""


def fill(lab: Lab) -> dict[str, str]:
    """Let it all happen; returns what it is called by."""
    tokens = _enrol(lab)
    ids = {"assignment": _assignment(lab), "grid": _grid(lab)}
    ids |= {"student_token": tokens["ada@example.org"]}
    with _client(lab, tokens["ada@example.org"]) as ada:
        ids["handed_in"] = _run(ada, "first try", steps=3)
        lab.wait_for(ids["handed_in"], "succeeded")
        done = ada.post(f"/v1/assignments/{ids['assignment']}/submission", json={"job_id": ids["handed_in"]})
        assert done.status_code == 200, done.text
    with _client(lab, tokens["bo@example.org"]) as bo:
        lab.wait_for(_run(bo, "what now", steps=2, ending="error"), "failed")
    return ids


def _client(lab: Lab, token: str) -> httpx.Client:
    return httpx.Client(base_url=lab.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def _enrol(lab: Lab) -> dict[str, str]:
    """Tokens by address."""
    csv = "name,email,section,team\n" + "".join(",".join(person) + "\n" for person in PEOPLE)
    made = lab.client.post("/v1/roster", json={"csv": csv}).json()["tokens_csv"]
    return dict(line.split(",")[1:3] for line in made.splitlines()[1:])


def _assignment(lab: Lab) -> str:
    order = {
        "name": "Homework 1",
        "deadline": (datetime.now(UTC) + timedelta(days=6)).isoformat(),
        "description": "Hand in one run of question 1b.",
        "templates": ["course/1b"],
        "experiments": ["probe"],
    }
    identifier: str = lab.client.post("/v1/assignments", json=order).json()["id"]
    return identifier


def _run(client: httpx.Client, name: str, **spec: Any) -> str:
    identifier: str = client.post("/v1/jobs", json={"experiment": "probe", "spec": spec, "name": name}).json()["id"]
    return identifier


def _grid(lab: Lab) -> str:
    """A study of twelve runs, which also count as runs whose memory was predicted and measured."""
    order = {"experiment": "probe", "grid": {"steps": [3, 6]}, "seeds": list(range(6)), "name": "How many steps"}
    address = "/v1/studies/" + lab.client.post("/v1/studies", json=order).json()["id"]
    wait_until(lambda: lab.client.get(address).json()["state"] == "succeeded", what="the grid", timeout_seconds=90)
    study = lab.client.get(address).json()
    estimate = lab.client.post("/v1/estimates", json={"experiment": "train-classifier", "spec": {}}).json()["id"]
    _measure(lab, [job for cell in study["comparison"] for job in cell["job_ids"]], UUID(estimate))
    identifier: str = study["id"]
    return identifier


def _measure(lab: Lab, jobs: Sequence[str], estimate: UUID) -> None:
    now = datetime.now(UTC)
    rows = [
        {
            "job_id": UUID(job),
            "attempt": 1,
            "estimate_id": estimate,
            "at": now - timedelta(days=len(jobs) - place),
            "family": "resnet" if place % 2 else "vit",
            "gpu": "NVIDIA A100 80GB",
            "predicted_allocated_bytes": 3000 * MIB,
            "predicted_reserved_bytes": 3400 * MIB,
            "predicted_low_bytes": 3700 * MIB,
            "predicted_likely_bytes": 4000 * MIB,
            "predicted_high_bytes": 4500 * MIB,
            "allocated_bytes": round(3000 * MIB * (1 + ERRORS[place] / 4)),
            "reserved_bytes": 3400 * MIB,
            "device_bytes": round(4000 * MIB * (1 + ERRORS[place])),
        }
        for place, job in enumerate(jobs)
    ]
    engine = sync_engine(lab.postgres.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(insert(MeasuredPeak), rows)
    engine.dispose()
