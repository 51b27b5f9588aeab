"""Students' programs measured by a worker, in a real sandbox, with a real database. Many are hostile."""

import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from obstore.store import LocalStore
from sqlalchemy import Engine

from api.users import statements as users
from experiments.memory.devices import GPUS, GpuAsked
from gpulab.program_files import ProgramLimits, canonical_tar, program
from gpulab.schemas.memory import GpuVerdict, Prediction
from models.settings import NodeSettings
from models.statements import nodes
from models.statements.memory import estimates
from models.tables.estimate import PROGRAM
from sandbox import capability, mend
from tests.integration.core.questions import put
from tests.lab import wait_until
from worker.measuring.nvml import NvmlAbsent
from worker.measuring.sampler import Sampler
from worker.programs import estimator
from worker.programs.estimator import ProgramEstimator
from worker.programs.process import ProgramSandbox

Execute = Callable[..., list[Any]]
MIB = 2**20
TRAIN = """
    import os, torch
    model = torch.nn.Linear(int(os.environ.get("WIDTH", 1024)), 1024, bias=False, device="cuda")
    optimizer = torch.optim.Adam(model.parameters())
    while True:
        loss = model(torch.ones(8, model.in_features, device="cuda")).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
LIE = """
    import json, os
    value = {"outcome": "fits", "reason": None, "card": "T4", "torch_version": "2", "steps": [], "seconds": 1.0,
             "peak_allocated_bytes": 1, "peak_reserved_bytes": 1, "peak_phase": None, "assumptions": []}
    with open("/run/gpulab/records.ndjson", "a") as records:
        records.write(json.dumps({"type": "result", "value": value | CHANGES}) + chr(10))
"""
THEN_DIES = "\n    import signal\n    os.kill(os.getppid(), signal.SIGKILL)"
pytestmark = pytest.mark.skipif(capability() is not None, reason=f"{capability()}; {mend(capability() or '')}")


class Node:
    """One node that measures programs."""

    def __init__(self, engine: Engine, execute: Execute, folder: Path) -> None:
        self.execute = execute
        self.store = LocalStore(folder / "store", mkdir=True)
        self.settings = NodeSettings(
            node="n1",
            runs_folder=folder / "runs",
            datasets_folder=folder / "datasets",
            cache_folder=folder / "cache",
            database_url="postgresql://unused",
            redis_url="redis://unused",
            artifacts_url="file:///unused",
            program_processes=100,
            program_disk_bytes=32 * MIB,
            program_output_bytes=4 * MIB,
        )
        (folder / "cache" / "programs").mkdir(parents=True)
        (folder / "runs").mkdir()
        (folder / "datasets").mkdir()
        self.sampler = Sampler(NvmlAbsent("none"))
        self.sampler.start()
        sandbox = ProgramSandbox(self.settings)
        self.estimator = ProgramEstimator(self.settings, engine, self.store, sandbox, self.sampler, 2048 * MIB)

    def asked(self, code: str, gpus: tuple[str, ...] = ("T4",), **spec: Any) -> Any:
        """What is known of a question about this script once a worker was at it, one turn for each GPU."""
        estimate_id = self.put(code, gpus, **spec)
        for _ in gpus:
            row = self.turn(estimate_id)
        return row

    def turn(self, estimate_id: UUID) -> Any:
        """What is known of a question after a worker heard of it and took up the one that was next."""
        self.estimator._answer(estimate_id)
        assert not list(self.settings.runs_folder.iterdir())
        (row,) = self.execute(estimates.by_id(estimate_id))
        return row

    def put(self, code: str, gpus: tuple[str, ...] = ("T4",), owner_id: UUID | None = None, **spec: Any) -> UUID:
        made = program([("main.py", textwrap.dedent(code).encode())], ProgramLimits())
        self.store.put(f"programs/{made.sha256}.tar", canonical_tar(made))
        wanted = [GpuAsked(name=name, total_bytes=GPUS[name].total_bytes) for name in gpus]
        spec = {"program": made.sha256, "command": ["python", "main.py"], **spec}
        question = {
            "id": (estimate_id := uuid4()),
            "owner_id": owner_id,
            "family": PROGRAM,
            "software": "torch 1",
            "workload": {"experiment": "script", "spec": spec},
            "editable": [],
            "wanted": {gpu.key: gpu.model_dump() for gpu in wanted},
        }
        assert self.execute(put(question))
        return estimate_id


@pytest.fixture
def node(engine: Engine, execute: Execute, tmp_path: Path) -> Iterator[Node]:
    made = Node(engine, execute, tmp_path)
    yield made
    made.sampler.stop()


def test_program_is_measured_and_judged(node: Node) -> None:
    row = node.asked(TRAIN)
    assert row["state"] == "ready", row["reason"]
    found = Prediction.model_validate(row["prediction"])
    # Weights, gradients and two moments of 4 MiB each, and what a step of Adam makes beside them.
    assert 16 * MIB <= found.peak_allocated_bytes <= 40 * MIB
    assert found.claimed_by_program
    assert (found.peak_phase, found.parts, found.phases) == ("step", None, None)
    assert found.reasons.keys() == {"modules", "parts", "phases"}
    (fit,) = [GpuVerdict.model_validate(fit) for fit in row["fits"].values()]
    assert (fit.name, fit.card, fit.verdict, fit.certain) == ("T4", "T4", "fits", False)
    assert fit.reasons["max_batch_size"]
    assert fit.reasons["edits"]


REFUSES_ONE = "    import torch\n    assert 'T4' not in torch.cuda.get_device_name(), 'no T4 for me'\n" + TRAIN


def verdicts(row: Any) -> dict[str, str]:
    return {fit["name"]: fit["verdict"] for fit in row["fits"].values()}


def test_one_model_is_measured_at_a_turn_and_one_that_fails_spoils_no_other(node: Node) -> None:
    ada, bob = (node.execute(users.ensure_user(name, "student"))[0]["id"] for name in ("ada", "bob"))
    large = node.put(REFUSES_ONE, gpus=("A10", "T4"), owner_id=ada)
    small = node.put("print(1)", owner_id=bob)
    first = node.turn(large)
    assert (first["state"], first["token"], verdicts(first)) == ("pending", None, {"A10": "fits"}), "shown at once"
    assert first["prediction"]["card"] == "A10"

    assert node.turn(large)["fits"] == first["fits"], "the turn was the other user's"
    (other,) = node.execute(estimates.by_id(small))
    assert (other["state"], other["reason"]) == ("failed", "the program never used the GPU")

    node.turn(small)
    (row,) = node.execute(estimates.by_id(large))
    assert (row["state"], row["reason"]) == ("ready", None)
    assert verdicts(row) == {"A10": "fits", "T4": "not_predicted"}
    fit = next(GpuVerdict.model_validate(fit) for fit in row["fits"].values() if fit["name"] == "T4")
    assert "no T4 for me" in (fit.reason or "")
    assert (fit.peak_device_bytes, fit.certain) == (None, False)
    assert row["prediction"] == first["prediction"]


def test_failure_that_a_second_model_repeats_is_the_programs_own(node: Node) -> None:
    estimate_id = node.put("raise ValueError('no data')", gpus=("A10", "H100", "L4", "T4"))
    assert node.turn(estimate_id)["state"] == "pending"
    row = node.turn(estimate_id)
    assert (row["state"], row["prediction"]) == ("failed", None)
    assert "no data" in row["reason"]


def test_program_that_is_too_large_is_shown_with_what_it_wants(node: Node) -> None:
    row = node.asked(TRAIN.replace('"WIDTH", 1024', '"WIDTH", 2 * 1024 * 1024'))
    assert row["state"] == "ready", row["reason"]
    (fit,) = row["fits"].values()
    assert (fit["verdict"], fit["certain"]) == ("cannot_fit", False)
    assert fit["peak_allocated_bytes"] > GPUS["T4"].total_bytes


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print(1)", "the program never used the GPU"),
        ("import torch\ntorch.ones(9, device='cuda')", "the program took no optimizer step"),
        ("raise ValueError('no data')", "ValueError: no data (main.py:1)"),
        ("open('big', 'wb').write(bytes(1 << 26))", "MiB on the disk; a program may use 32 MiB"),
    ],
)
def test_what_is_not_predicted_says_why(node: Node, code: str, reason: str) -> None:
    code += "\nimport time\nwhile 'big' in __import__('os').listdir(): time.sleep(0.05)"
    row = node.asked(code)
    assert row["state"] == "failed"
    assert reason in row["reason"]
    assert row["prediction"] is None


@pytest.mark.parametrize(
    ("changes", "then"),
    [
        ("{}", THEN_DIES),
        ("{'peak_reserved_bytes': 0}", ""),
    ],
)
def test_answer_that_a_program_writes_itself_does_not_count(node: Node, changes: str, then: str) -> None:
    row = node.asked(LIE.replace("CHANGES", changes) + then)
    assert row["state"] == "failed"
    assert row["prediction"] is None


def test_program_that_never_ends_is_ended_and_nothing_is_left(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimator, "DEFAULT_LIMIT_SECONDS", 2)
    row = node.asked("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass")
    assert row["state"] == "failed"
    assert row["reason"] == "0 of 2 optimizer steps were taken within 2 s"


def test_host_that_never_ends_is_ended(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimator, "SLACK_SECONDS", -58.0)
    row = node.asked("while True: pass")
    assert (row["state"], row["reason"]) == ("failed", "the program did not end within 2 s")


def test_node_without_a_sandbox_says_so(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimator, "capability", lambda: "bubblewrap is not installed")
    row = node.asked(TRAIN)
    assert (row["state"], row["reason"]) == ("failed", "bubblewrap is not installed")


def test_data_sets_of_the_node_are_there_to_read(node: Node) -> None:
    (node.settings.datasets_folder / "flowers").mkdir()
    (node.settings.datasets_folder / "flowers" / "one").write_text("a rose")
    check = '    from gpulab import run\n    assert (run.datasets["flowers"] / "one").read_text() == "a rose"\n'
    described = {"slots": 1, "datasets": ["flowers"], "versions": {}}
    node.execute(nodes.join({"name": "n1", **described}))
    row = node.asked(check + TRAIN, datasets=["flowers"])
    assert row["state"] == "ready", row["reason"]


def test_node_without_the_data_set_leaves_the_question_to_another(node: Node) -> None:
    row = node.asked(TRAIN, datasets=["flowers"])
    assert (row["state"], row["attempts"], row["token"]) == ("pending", 0, None)


def test_worker_that_leaves_gives_the_question_back(node: Node) -> None:
    def leave() -> None:
        wait_until(lambda: list(node.settings.runs_folder.iterdir()), what="a run")
        node.estimator.leave()

    thread = Thread(target=leave)
    thread.start()
    started = time.monotonic()
    row = node.asked("while True: pass")
    thread.join()
    assert (row["state"], row["attempts"], row["token"]) == ("pending", 0, None)
    assert time.monotonic() - started < 20
