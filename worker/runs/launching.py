"""Brings an attempt to life: its folder, its order, and its process, forked from the zygote or in a sandbox."""

import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import structlog
from obstore.store import ObjectStore
from sqlalchemy import Engine

from experiments.hosting.wire import RunOrder
from experiments.internal.program_check.spec import SLUG as PROGRAM_CHECK
from experiments.registry import runnable
from models.settings import NodeSettings
from sandbox import Groups, capability
from worker.measuring.gpu_overhead import GpuConstants
from worker.measuring.host_memory import limit_of_job, memory_of_machine
from worker.measuring.sampler import Sampler
from worker.programs.cache import Programs
from worker.programs.process import CACHE_INSIDE, ProgramProcess, ProgramSandbox
from worker.programs.spares import Spares
from worker.programs.submission import place_submission
from worker.runs.attempt import Claimed
from worker.runs.folder import RunFolder
from worker.runs.resume import bring_back
from worker.runs.zygote import JobProcess, Zygote

log = structlog.get_logger()


class Launcher:
    """Of one node."""

    def __init__(
        self,
        settings: NodeSettings,
        engine: Engine,
        store: ObjectStore,
        zygote: Zygote,
        constants: GpuConstants,
        sampler: Sampler,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._store = store
        self._zygote = zygote
        self._constants = constants
        groups = Groups.take()
        log.info("program.limits", enforced_by="watch" if groups is None else "kernel and watch")
        self.sandbox = ProgramSandbox(settings, groups, sampler.mig_instances)
        self._programs = Programs(settings.cache_folder / "programs", store)
        self.spares: Spares | None = None
        """Set where a spare sandbox is kept."""
        self.memory_bytes = limit_of_job(settings.host_memory_bytes, settings.slots, memory_of_machine()) or None
        """What the processes of one job may hold of this machine's memory; null for no limit."""

    def start(self, claimed: Claimed, folder: RunFolder) -> JobProcess | ProgramProcess:
        """Its process. Raises `ProgramError` where no try can succeed, and `NotStartedError`, `OSError` and errors of
        the database or the store where another may.
        """
        datasets = _datasets(claimed) if folder.is_sandboxed else ()
        spare = (
            self.spares.take(claimed.gpu_uuids, datasets) if self.spares is not None and folder.is_sandboxed else None
        )
        if spare is None:
            folder.make()
        else:
            folder.remove()
            spare.move(folder)
        try:
            self._fill(claimed, folder)
        except BaseException:
            if spare is not None:
                spare.drop()
            raise
        if not folder.is_sandboxed:
            return self._zygote.start(folder.path, ",".join(claimed.gpu_uuids))
        if spare is not None:
            return spare.begin()
        return self.sandbox.start(folder, claimed.gpu_uuids, self.memory_bytes, datasets)

    def keep_spare(self, gpu_uuids: Sequence[str]) -> None:
        """Keep a sandbox ready for the next program, on a node that can and should."""
        if self._settings.program_spare and capability() is None:
            self.spares = Spares(self.sandbox, self._settings.runs_folder, self.memory_bytes)
            self.spares.start(gpu_uuids)

    def stop(self) -> None:
        """Let the spare go."""
        if self.spares is not None:
            self.spares.stop()

    def _fill(self, claimed: Claimed, folder: RunFolder) -> None:
        """The checkpoint to go on from, the order, and the files of a program."""
        if claimed.attempt > 1:
            bring_back(self._engine, self._store, folder.written_by_run, claimed.lease_token, claimed.job_id)
        self._order(claimed, folder).write(folder.written_by_run)
        if folder.is_sandboxed:
            self._programs.copy(str(claimed.spec["program"]), folder.work)
        if claimed.experiment == PROGRAM_CHECK:
            place_submission(self._engine, self._store, UUID(claimed.spec["submission"]), folder.work)

    def _order(self, claimed: Claimed, folder: RunFolder) -> RunOrder:
        settings = self._settings
        return RunOrder(
            job_id=claimed.job_id,
            attempt=claimed.attempt,
            experiment=claimed.experiment,
            spec=claimed.spec,
            seed=claimed.seed,
            device=claimed.device,
            threads=settings.threads_per_job or max(1, (os.cpu_count() or 1) // max(1, settings.slots)),
            datasets_folder=Path(self.sandbox.data) if folder.is_sandboxed else settings.datasets_folder,
            cache_folder=CACHE_INSIDE if folder.is_sandboxed else settings.cache_folder,
            gpu_memory_bytes=claimed.reserved_bytes,
            host_memory_bytes=self.memory_bytes,
            gpu_constants=self._constants.of(claimed.gpu_uuids[0]).constants if claimed.gpu_uuids else None,
        )


def refused_experiments() -> dict[str, str]:
    """What this machine cannot run, and why."""
    reason = capability()
    return {} if reason is None else dict.fromkeys(filter(is_sandboxed, runnable()), reason)


def _datasets(claimed: Claimed) -> tuple[str, ...]:
    """Those that the run names; a program sees no others."""
    experiment = runnable()[claimed.experiment]
    return experiment.datasets(experiment.spec.model_validate(claimed.spec))


def is_sandboxed(slug: str) -> bool:
    """Whether the experiment runs a student's own code."""
    experiment = runnable().get(slug)
    return experiment is not None and experiment.sandboxed
