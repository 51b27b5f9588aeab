"""`gpulab jobs`: what it asks the lab, and the lines that it prints."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gpulab.cli import main
from gpulab.client import Client

Table = Callable[..., tuple[int, list[str]]]


class Lab:
    """Answers as the lab would, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.URL] = []
        self.rows: list[list[Any]] = []
        self.complete = True

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        query = request.url.params
        if request.url.path.endswith("groups"):
            statistics = {"n": 2, "mean": 0.5, "sd": 0.25, "min": 0.25, "max": 0.75}
            item = {"by": [0.1], "runs": 3, "columns": [statistics]}
            counts = {"groups": 1, "total": 3, "searched": 3, "complete": True}
            return httpx.Response(200, json={"by": ["spec.lr"], "columns": ["result.x"], "items": [item], **counts})
        start, limit = int(query.get("cursor", "0")), int(query["limit"])
        part = self.rows[start : start + limit]
        more = str(start + limit) if start + limit < len(self.rows) else None
        counts = {"total": len(self.rows), "searched": len(self.rows), "complete": self.complete}
        items = [summary(values) for values in part]
        return httpx.Response(200, json={"columns": [], "items": items, "next_cursor": more, **counts})


def summary(values: list[Any]) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    fixed = {"experiment": "dropout-linear", "tags": [], "owner": "ann", "state": "succeeded", "priority": "normal"}
    numbers = {"seed": 0, "attempt": 1, "gpu_uuids": [], "submitted_at": now, "changed_at": now, "id": str(uuid4())}
    nothing = dict.fromkeys(
        ("name", "study_id", "cause", "message", "progress", "node", "gpu_memory_bytes", "started_at", "finished_at")
    )
    return {**fixed, **numbers, **nothing, "values": values}


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def table(lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Table:
    def client(*_arguments: Any, **_options: Any) -> Client:
        return Client("http://lab", token="glab_x", transport=httpx.MockTransport(lab))

    monkeypatch.setattr("gpulab.cli.session.Session.client", property(lambda _: client()))

    def run(*arguments: str) -> tuple[int, list[str]]:
        code = main(["jobs", *arguments])
        return code, capsys.readouterr().out.splitlines()

    return run


def test_columns_and_orders_are_separated_by_commas_and_all_reach_the_lab(lab: Lab, table: Table) -> None:
    lab.rows = [[0.125, None]]
    code, lines = table(
        "--columns", "spec.lr,result.x", "--columns", 'result."a, b"', "--sort=-result.x", "--where", "spec.lr>=0.01"
    )
    (asked,) = lab.asked
    assert code == 0
    assert asked.params.get_list("columns") == ["spec.lr", "result.x", 'result."a, b"']
    assert (asked.params.get_list("sort"), asked.params.get_list("where")) == (["-result.x"], ["spec.lr>=0.01"])
    assert lines[0].split() == ["JOB", "NAME", "STATE", "OWNER", "AGE", "spec.lr", "result.x", 'result."a,', 'b"']
    assert "0.125" in lines[1]
    assert lines[-1] == "1 of 1 run."


def test_limit_is_reached_over_several_pages(lab: Lab, table: Table) -> None:
    lab.rows = [[number] for number in range(500)]
    lab.complete = False
    _code, lines = table("--columns", "spec.n", "--limit", "450")
    assert len(lines) == 1 + 450 + 1
    assert lines[-1] == "450 of 500 runs. Only the newest 500 runs were looked at."
    assert [asked.params["limit"] for asked in lab.asked] == ["200", "200", "50"]


def test_curve_is_drawn_and_has_gaps(lab: Lab, table: Table) -> None:
    lab.rows = [[[0.0, None, 7.0]], [[1.0, 1.0]]]
    _code, lines = table("--columns", "metric.loss.curve")
    assert lines[1].endswith("▁ █")
    assert lines[2].endswith("▁▁")


def test_groups_show_count_mean_and_spread(lab: Lab, table: Table) -> None:
    _code, lines = table("--by", "spec.lr", "--columns", "result.x", "--state", "done")
    assert lines[1].split() == ["0.1", "3", "0.5", "±", "0.25", "(n", "2)"]
    assert lines[-1] == "1 of 1 group."
    assert lab.asked[0].params.get_list("by") == ["spec.lr"]
