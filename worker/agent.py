"""The node's own life: joining, heartbeats, hearing of cancellations, clearing up after a worker that was killed."""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from threading import Event
from typing import Any
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import Connection, Engine

from experiments.environment import environment
from gpulab.threads import VitalThread
from models.channels import CANCEL, YIELD
from models.composed import run
from models.database import DATABASE_AWAY, listening_connection
from models.lab_process import RefusedError
from models.outage import Outage
from models.settings import NodeSettings
from models.statements import gpu_minutes, leases, node_tokens, nodes
from worker.datasets import DatasetWatch
from worker.folder_watch import FolderWatch
from worker.gpu_changes import MIG_PREFIX, NOT_FOUND, changes
from worker.identity import worker_id
from worker.measuring.driver import is_loaded
from worker.measuring.gpu_overhead import GpuConstants
from worker.measuring.nvml import GpuInfo, GpuReading, Nvml, NvmlAbsent
from worker.measuring.sampler import Sampler
from worker.runs.attempt import StopReason
from worker.runs.folder import found_folder
from worker.runs.launching import refused_experiments
from worker.runs.supervisor import Supervisor

ADMISSION_PAUSE_SECONDS = 0.5

log = structlog.get_logger()


class NodeRefusedError(RefusedError):
    """The lab does not admit this node; the message says what to do."""


class DriverLoadedError(Exception):
    """The GPUs of this machine can be used now, by another process."""


class Agent:
    """One thread: renews the node and its leases, and passes cancellations on as they are asked for."""

    def __init__(
        self,
        settings: NodeSettings,
        engine: Engine,
        supervisor: Supervisor,
        nvml: Nvml | NvmlAbsent,
        sampler: Sampler,
        constants: GpuConstants,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._supervisor = supervisor
        self._nvml = nvml
        self._sampler = sampler
        self._constants = constants
        self._datasets = DatasetWatch(settings.datasets_folder, settings.heartbeat_seconds)
        self._folders = FolderWatch({"runs": settings.runs_folder, "cache": settings.cache_folder})
        self._worker_id = worker_id(settings.runs_folder)
        self._awaits_driver = isinstance(nvml, NvmlAbsent) and not is_loaded()
        self._xids: list[tuple[int, int]] = []
        """Faults of GPUs that no transaction has kept yet: index and Xid."""
        self._stop = Event()
        self._outage = Outage("agent.database_away")
        self._thread = VitalThread("agent", self._run, until=self._stop)

    def start(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        """Tell the lab to give this node nothing more; leases that it holds are renewed until `stop`."""
        with suppress(*DATABASE_AWAY), self._engine.begin() as connection:
            run(connection, nodes.leave, name=self._settings.node, worker_id=self._worker_id)

    def stop(self) -> None:
        """End the thread; call it when the last attempt has ended."""
        self._stop.set()
        self._datasets.stop()
        self._folders.stop()
        if self._thread.ident is not None:
            self._thread.join(timeout=self._settings.heartbeat_seconds + 5)

    def admit(self) -> None:
        """Take the node's name; one of a worker that is silent is waited for until its leases are over.

        Raises `NodeRefusedError` where another worker has the name.
        """
        node, silence_seconds = self._settings.node, self._settings.lease_seconds
        first_heard: datetime | None = None
        while True:
            with self._engine.begin() as connection:
                admitted = run(
                    connection, nodes.admit, name=node, worker_id=self._worker_id, silence_seconds=silence_seconds
                )
                if admitted.first() is not None:
                    return
                holder, heard_at = run(connection, nodes.holder, name=node).one()
            if first_heard is None:
                first_heard = heard_at
                log.warning("node.taken", node=node, by=holder, waits_seconds=silence_seconds)
            elif heard_at != first_heard:
                raise NodeRefusedError(taken(node, holder))
            time.sleep(ADMISSION_PAUSE_SECONDS)

    def watch_folders(self) -> None:
        """Begin to look through the folder of data sets, and to measure the others."""
        self._datasets.start()
        self._folders.start()

    def join(self) -> None:
        """Describe this node to the lab. Raises `NodeRefusedError` where its token is not good or its name taken."""
        token_id = self.check_token()
        found = self._datasets.latest()
        description = {
            "name": self._settings.node,
            "slots": self._settings.slots,
            "worker_id": self._worker_id,
            "datasets": list(found.datasets),
            "skipped_datasets": found.skipped,
            "versions": {name: version(name) for name in ("torch", "torchvision", "celery")},
            "gpu_reason": self._nvml.reason if isinstance(self._nvml, NvmlAbsent) else None,
            "refused_experiments": refused_experiments(),
            "environment": environment(self._settings.program_packages),
            "token_id": token_id,
        }
        gpus = self._read_gpus()
        divided = self._divided(gpus)
        with self._engine.begin() as connection:
            self._check_ours(connection, run(connection, nodes.join, values=description).first())
            self._settle_gpus(connection, gpus, divided)
            self._keep_gpus(connection, gpus)
        self._xids.clear()
        log.info("node.joined", node=self._settings.node, slots=self._settings.slots, datasets=found.datasets)

    def check_token(self) -> UUID | None:
        """The id of the token that admits this node; None where it has none to show. Raises `NodeRefusedError`."""
        token = self._settings.node_token
        if token is None:
            return None
        digest = sha256(token.get_secret_value().encode()).digest()
        with self._engine.begin() as connection:
            found: UUID | None = run(connection, node_tokens.good, node=self._settings.node, digest=digest).scalar()
        if found is None:
            name = self._settings.node
            raise NodeRefusedError(
                f"this GPULAB_NODE_TOKEN is not valid for the node {name}: "
                f"an admin creates one with `gpulab nodes token {name}`"
            )
        return found

    def clear_up(self) -> None:
        """Deal with what the worker before left, whose processes are gone: ship its directories, give its verdicts."""
        with self._engine.begin() as connection:
            left = run(connection, leases.claimed_on, node=self._settings.node).all()
        for job_id, lease_token, attempt in left:
            self._supervisor.recover(job_id, lease_token, attempt)
        for folder in self._settings.runs_folder.iterdir():
            if folder.is_dir():
                # Its lease expired before we came: whatever it holds is void.
                found_folder(folder).remove()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._serve()
            except DATABASE_AWAY as error:
                self._outage.goes_on(error)
                self._stop.wait(0.5)

    def _serve(self) -> None:
        with listening_connection(self._settings.libpq_url) as connection:
            connection.execute(f"LISTEN {CANCEL}")
            connection.execute(f"LISTEN {YIELD}")
            while not self._stop.is_set():
                self._beat()
                self._outage.over()
                self._hear(connection, time.monotonic() + self._settings.heartbeat_seconds)

    def _hear(self, connection: psycopg.Connection[Any], deadline: float) -> None:
        while (left := deadline - time.monotonic()) > 0 and not self._stop.is_set():
            for notice in connection.notifies(timeout=min(left, 0.5)):
                reason = StopReason.YIELD if notice.channel == YIELD else StopReason.CANCEL
                self._stop_job(notice.payload, reason)

    def _stop_job(self, payload: str, reason: StopReason) -> None:
        try:
            job_id = UUID(payload)
        except ValueError:
            # A client with the database's password can send anything on its channels.
            log.warning("notice.unreadable", payload=payload[:200])
            return
        for attempt in list(self._supervisor.attempts.values()):
            if attempt.claimed.job_id == job_id:
                attempt.stop(reason)

    def _look_for_driver(self) -> None:
        """At boot a worker may come before the driver of its GPUs; only a new process can use it.

        Raises `DriverLoadedError`, which ends the worker, and its supervisor starts it again.
        """
        if self._awaits_driver and not self._supervisor.attempts and is_loaded():
            raise DriverLoadedError("the driver of the GPUs was loaded after the worker had started")

    def _beat(self) -> None:
        self._look_for_driver()
        attempts = dict(self._supervisor.attempts)
        found = self._datasets.latest()
        gpus = self._read_gpus()
        with self._engine.begin() as connection:
            beat = run(
                connection,
                nodes.beat,
                name=self._settings.node,
                silence_seconds=self._settings.lease_seconds,
                clock=datetime.now(UTC),
                worker_id=self._worker_id,
                datasets=list(found.datasets),
                skipped_datasets=found.skipped,
                folders=self._folders.latest(),
            )
            self._check_ours(connection, beat.first())
            self._keep_gpus(connection, gpus)
            seconds = self._settings.lease_seconds
            renewed = run(connection, leases.renew, lease_tokens=list(attempts), lease_seconds=seconds).all()
        self._xids.clear()
        alive = {row.token: row for row in renewed}
        for lease_token, attempt in attempts.items():
            if lease_token not in alive:
                attempt.stop(StopReason.REVOKED)
            elif alive[lease_token].cancel_requested_at is not None:
                attempt.stop(StopReason.CANCEL)
            elif alive[lease_token].yield_requested_at is not None:
                attempt.stop(StopReason.YIELD)

    def _check_ours(self, connection: Connection, row: object) -> None:
        if row is None:
            name = self._settings.node
            raise NodeRefusedError(taken(name, run(connection, nodes.holder, name=name).one().worker_id))

    def _read_gpus(self) -> list[dict[str, Any]]:
        """The rows of the GPUs. A sick driver takes seconds to answer, so no transaction is open meanwhile."""
        if isinstance(self._nvml, NvmlAbsent):
            return []
        latest = self._sampler.latest()
        rows = [
            _gpu_row(self._settings.node, gpu, latest.get(gpu.uuid)) | self._constants.of(gpu.uuid).row()
            for gpu in self._nvml.gpus()
        ]
        if rows:
            self._xids += self._nvml.new_xids()
        return rows

    def _divided(self, rows: list[dict[str, Any]]) -> set[str]:
        """The UUIDs of GPUs whose MIG instances these are."""
        if isinstance(self._nvml, NvmlAbsent):
            return set()
        parts = (self._nvml.mig_instance(row["uuid"]) for row in rows if row["uuid"].startswith(MIG_PREFIX))
        return {part.gpu_uuid for part in parts if part is not None}

    def _settle_gpus(self, connection: Connection, rows: list[dict[str, Any]], divided: set[str]) -> None:
        """Compare the GPUs with those of the start before: what is not there now was not lost at work."""
        node = self._settings.node
        before = [dict(row) for row in run(connection, nodes.gpus_of, node=node).mappings()]
        found = changes(before, rows, divided)
        if not found.words:
            return
        if found.gone:
            run(connection, nodes.let_go, uuids=[gpu["uuid"] for gpu in found.gone])
        if found.missing:
            why = f": {self._nvml.reason}" if isinstance(self._nvml, NvmlAbsent) else ""
            run(connection, nodes.miss, uuids=[gpu["uuid"] for gpu in found.missing], reason=NOT_FOUND + why)
        run(connection, nodes.note_event, node=node, kind="node.gpus_changed", message=found.words)
        (log.warning if found.missing else log.info)("node.gpus_changed", node=node, reason=found.words)

    def _keep_gpus(self, connection: Connection, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        kept = run(connection, nodes.keep_gpus, rows=rows, silence_seconds=self._settings.lease_seconds).scalars().all()
        readings = [reading for row in rows if row["uuid"] in set(kept) and (reading := _reading(row))]
        if readings:
            run(connection, gpu_minutes.keep, readings=readings)
        if foreign := [row["uuid"] for row in rows if row["uuid"] not in set(kept)]:
            log.error("gpu.of_another_node", uuids=foreign)
            run(connection, nodes.contest_gpus, node=self._settings.node, uuids=foreign)
        for index, xid in self._xids:
            hit = [row["uuid"] for row in rows if row["index"] == index]
            log.error("gpu.xid", xid=xid, uuids=hit)
            run(connection, nodes.note_xid, uuids=hit, xid=xid)


def taken(node: str, holder: str | None) -> str:
    """What to say to a worker whose node has another one."""
    return (
        f"the node {node} is served by another worker, {holder or 'of an older version'}: give this machine another "
        f"name with GPULAB_NODE=NAME (gpulab worker --name NAME), or stop the other worker"
    )


def _gpu_row(node: str, gpu: GpuInfo, reading: GpuReading | None) -> dict[str, Any]:
    return {
        # One too broken to tell is named by its index, which other nodes have too.
        "uuid": f"{gpu.uuid}@{node}" if gpu.uuid.startswith("unknown-") else gpu.uuid,
        "node": node,
        "index": gpu.index,
        "name": gpu.name or "unknown",
        "memory_total_bytes": gpu.memory_total_bytes,
        "healthy": gpu.healthy,
        "reason": gpu.reason,
        "latest": {} if reading is None else _latest(reading),
    }


def _reading(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is kept of a GPU's history; None before its first reading."""
    if not (latest := row["latest"]):
        return None
    return {
        "gpu_uuid": row["uuid"],
        "node": row["node"],
        "memory_used_bytes": latest["device_used_bytes"],
        **{name: latest[name] for name in ("utilization_percent", "power_watts", "temperature_celsius")},
    }


def _latest(reading: GpuReading) -> dict[str, Any]:
    return {
        "device_used_bytes": reading.device_used_bytes,
        "utilization_percent": reading.utilization_percent,
        "power_watts": reading.power_watts,
        "temperature_celsius": reading.temperature_celsius,
        "reasons": dict(reading.reasons),
    }
