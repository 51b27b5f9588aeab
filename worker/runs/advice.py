"""Advice for a run that ran out of memory: what the watchdog saw of it, and what would have fitted.

The edits are predicted by the estimator when the run has ended and let its GPU go. They are asked for in the
transaction of the verdict and taken over in that of the answer, so that no kill in between loses them.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from experiments.hosting.record_reader import RecordReader, read_regular
from experiments.hosting.wire import Memory, Phase, clean_text
from experiments.memory.devices import GpuAsked, held_at_least
from experiments.memory.programs import NO_EDITS
from gpulab.run.files import ARTIFACTS_FOLDER
from gpulab.schemas.memory import Edit, OutOfMemoryRead, TensorRead, first_advice
from models.composed import run
from models.statements.memory import advice
from models.tables.estimate import PROGRAM
from worker.measuring.sampler import Breach
from worker.programs.records import CLAIMED_OF_BREACH, claimed
from worker.runs.folder import RunFolder

MIB = 2**20
MAX_TENSORS = 10
MAX_SNAPSHOT_BYTES = 64 * MIB
SNAPSHOT = "allocator-peak.json"
ADVICE = ("edits", "predicted_peak_bytes")
BEING_PREDICTED = "it is being predicted, which takes seconds"
NOT_TOLD = "the watchdog sees only the driver's readings"
NO_ESTIMATE = "nothing was predicted for this job"
ENDED = "the watchdog ended it, and it requested no memory at that moment"


def of_breach(breach: Breach, folder: RunFolder) -> OutOfMemoryRead:
    """What is known of a run that outgrew its reservation, from the sampler and from what it had recorded."""
    phase, memory = _last_records(folder.written_by_run)
    # What a student's program calls a snapshot is not worth the parsing.
    tensors = None if folder.is_sandboxed else _blocks(folder.path / ARTIFACTS_FOLDER / SNAPSHOT)
    allocated, reserved = (memory.get(name) for name in ("allocated_bytes", "reserved_bytes"))
    values: dict[str, Any] = {
        "phase": phase,
        "module": None,
        "requested_bytes": None,
        "allocated_bytes": allocated,
        "reserved_bytes": reserved,
        "fragmentation_bytes": None if allocated is None or reserved is None else reserved - allocated,
        "device_used_bytes": breach.device_used_bytes,
        "device_total_bytes": breach.device_total_bytes,
        "predicted_peak_bytes": None,
        "snapshot": SNAPSHOT if tensors is not None else None,
    }
    reasons = {name: NOT_TOLD for name, value in values.items() if value is None}
    reasons |= dict.fromkeys(("requested_bytes", "module"), ENDED) | dict.fromkeys(ADVICE, BEING_PREDICTED)
    no_reading = "the run had recorded no reading of its allocator"
    reasons |= {name: no_reading for name in ("allocated_bytes", "reserved_bytes") if values[name] is None}
    no_snapshot = "the run ended before a snapshot was taken"
    reasons |= dict.fromkeys(("snapshot", "largest_tensors"), no_snapshot) if tensors is None else {}
    if phase is None:
        reasons["phase"] = "the run had marked no phase"
    return OutOfMemoryRead(
        **values,
        claimed_by_program=claimed(values, CLAIMED_OF_BREACH) if folder.is_sandboxed else [],
        device="cuda",
        ended_by="watchdog",
        at=datetime.fromtimestamp(breach.time, UTC),
        process_used_bytes=breach.process_used_bytes,
        limit_bytes=breach.reserved_bytes,
        inside_reservation=False,
        largest_tensors=tensors or [],
        edits=[],
        reasons=reasons,
    )


def seek(connection: Connection, lease_token: UUID, failure: dict[str, Any]) -> tuple[dict[str, Any], UUID | None]:
    """Ask for advice on a failure of the job with this lease; what to store of it, and the estimate in question.

    Call `attach` for the estimate when the verdict is written, in the same transaction: the answer may be there.
    """
    place = run(connection, advice.place, lease_token=lease_token).first()
    if failure.get("edits") or not failure.get("limit_bytes") or place is None:
        return failure, None
    if place.estimate_id is None:
        return failure | {"reasons": failure["reasons"] | dict.fromkeys(ADVICE, NO_ESTIMATE)}, None
    if place.family == PROGRAM:
        return _of_program(failure, place.predicted_bytes), None
    gpu = GpuAsked(
        name=place.name if place.device == "cuda" and place.name else "typical",
        # Reservations differ by bytes; the answers do not.
        total_bytes=max(1, failure["limit_bytes"] // MIB) * MIB,
        constants=place.constants,
        outgrown=True,
        held_bytes=(held_at_least(failure) or 0) // MIB * MIB or None,
    )
    asked = gpu.model_dump(mode="json")
    run(connection, advice.seek, estimate_id=place.estimate_id, key=gpu.key, gpu=asked)
    return failure | {advice.KEY: gpu.key}, place.estimate_id


def _of_program(failure: dict[str, Any], predicted_bytes: int | None) -> dict[str, Any]:
    """What was predicted of a student's program; the lab does not know what to change in it."""
    unknown = {"edits": NO_EDITS} | ({} if predicted_bytes else {"predicted_peak_bytes": NO_ESTIMATE})
    reasons = {name: why for name, why in failure["reasons"].items() if name not in ADVICE}
    return failure | {"predicted_peak_bytes": predicted_bytes, "reasons": reasons | unknown}


def attach(connection: Connection, estimate_id: UUID, *, actor: str) -> None:
    """Give each job that waits for this estimate's advice what there is."""
    for row in run(connection, advice.awaited, estimate_id=estimate_id).all():
        failure, words = _advised(row.failure, row.fit)
        message = f"{row.message or ''}{words}"[:1000]
        run(connection, advice.give, job_id=row.id, failure=failure, message=message, actor=actor)


def _advised(failure: dict[str, Any], fit: dict[str, Any]) -> tuple[dict[str, Any], str]:
    rest = {name: value for name, value in failure.items() if name != advice.KEY}
    if fit["peak_device_bytes"] is None:
        return rest | {"reasons": failure["reasons"] | dict.fromkeys(ADVICE, fit["reason"])}, ""
    edits = [Edit.model_validate(edit) for edit in fit["edits"]]
    reasons = {name: why for name, why in failure["reasons"].items() if name not in ADVICE}
    found = {
        "predicted_peak_bytes": fit["peak_device_bytes"]["likely_bytes"],
        "edits": [edit.model_dump(mode="json") for edit in edits],
        "reasons": reasons | ({} if edits else {"edits": "no change of its spec lowers the prediction"}),
    }
    return rest | found, first_advice(edits)


def _last_records(folder: Path) -> tuple[str | None, dict[str, int | None]]:
    """The phase that a run was in, and its last reading of the allocator; empty where there was none."""
    phase: str | None = None
    levels: dict[str, int | None] = {}
    for record in RecordReader(folder).every(b"phase", b"memory"):
        if isinstance(record, Phase):
            phase = record.name
        elif isinstance(record, Memory):
            levels = record.levels()
    return phase, levels


def _blocks(path: Path) -> list[TensorRead] | None:
    """The largest blocks that a snapshot at the peak shows; null without one that can be read."""
    try:
        blocks = json.loads(read_regular(path, 0, MAX_SNAPSHOT_BYTES))["blocks"]
        return [
            TensorRead(
                name=clean_text(next(iter(block.get("frames") or ()), "not known")),
                kind="other",
                shape=None,
                dtype=None,
                size_bytes=block["size_bytes"],
            )
            for block in sorted(blocks, key=lambda block: -block["size_bytes"])[:MAX_TENSORS]
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # The run writes it, and may have written anything.
        return None
