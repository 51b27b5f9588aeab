"""Answers questions about the GPU memory of students' programs: each runs in a sandbox for its first training steps,
on an emulated card. It is assumed to be hostile, as in a run: the same limits hold, and its answer proves nothing.
"""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from obstore.exceptions import BaseError as StoreError
from obstore.store import ObjectStore
from sqlalchemy import Engine

from emulator.build import BuildError
from experiments.hosting.record_reader import RecordReader
from experiments.hosting.wire import Failed, RunOrder, Succeeded
from experiments.internal.program_memory.spec import (
    DEFAULT_LIMIT_SECONDS,
    MAX_WORDS_CHARACTERS,
    SLUG,
    ProgramMemoryResult,
)
from experiments.memory.contract import ProgramRun
from experiments.memory.devices import TYPICAL_CARD, GpuAsked
from experiments.memory.programs import Bench, NotBelievedError, believed, bench_of, prediction_of, verdict_of
from gpulab.schemas.memory import Verdict
from models.settings import NodeSettings
from models.statements.memory import estimates
from sandbox import capability
from worker.measuring.host_memory import HostBreach
from worker.measuring.sampler import Sampler, Watched
from worker.programs.cache import ProgramError, Programs
from worker.programs.process import CACHE_INSIDE, ProgramProcess, ProgramSandbox
from worker.programs.records import distrust
from worker.programs.watch import ProgramBreach, ProgramLimits, ProgramWatch
from worker.questions import Answerer, refused_verdict, trouble_of, unanswered
from worker.runs.folder import RunFolder

MAX_CONCURRENT = 1
"""A program that never ends keeps other programs' questions waiting, and no one else's."""
SLACK_SECONDS = 30.0
"""For its host to start, and to say what was found."""
KILL_SECONDS = 5.0

log = structlog.get_logger()


class GivenBackError(Exception):
    """The question is no longer ours."""


class NoSandboxError(Exception):
    """Why this node runs no programs."""


class ProgramEstimator(Answerer):
    """For questions about students' programs. `memory_bytes` is what one may hold of the machine's memory."""

    def __init__(
        self,
        settings: NodeSettings,
        engine: Engine,
        store: ObjectStore,
        sandbox: ProgramSandbox,
        sampler: Sampler,
        memory_bytes: int | None,
    ) -> None:
        super().__init__(settings, engine, MAX_CONCURRENT)
        self._programs = Programs(settings.cache_folder / "programs", store)
        self._sandbox = sandbox
        self._sampler = sampler
        self._watch = ProgramWatch(ProgramLimits.of(settings))
        self._memory_bytes = memory_bytes

    def _work_on(self, question: Any) -> None:
        """One emulated card a turn, however many GPUs it stands for: others' programs come in between."""
        started = time.monotonic()
        wanted = {key: GpuAsked.model_validate(gpu) for key, gpu in unanswered(question).items()}
        bench, keys = _next_bench(wanted)
        try:
            found = self._measured(question, ProgramRun.model_validate(question.workload), bench)
        except GivenBackError:
            return
        except StoreError as error:
            raise OSError(str(error)) from error
        except (ProgramError, BuildError, NoSandboxError) as error:
            self._refuse(question, time.monotonic() - started, str(error))
        except NotBelievedError as error:
            verdicts = {key: refused_verdict(wanted[key], str(error)) for key in keys}
            self._note_refusal(question, time.monotonic() - started, str(error), verdicts)
        else:
            verdicts = {key: verdict_of(found, bench, wanted[key]).model_dump(mode="json") for key in keys}
            is_typical = question.prediction is None or bench.gpu.card == TYPICAL_CARD
            shown = prediction_of(found, bench).model_dump(mode="json") if is_typical else None
            given = {"prediction": shown, "fits": question.fits | verdicts}
            self._conclude(question, estimates.answer, "estimate.answered", time.monotonic() - started, given)

    def _note_refusal(self, question: Any, seconds: float, reason: str, verdicts: dict[str, Any]) -> None:
        """The program failed on one card. Where it fails on a second one in the same words, it is not the card's doing:
        no further one is tried.
        """
        before = {fit["reason"] for fit in question.fits.values() if fit["verdict"] == Verdict.NOT_PREDICTED}
        is_last = unanswered(question).keys() == verdicts.keys()
        if question.prediction is None and (is_last or reason in before):
            self._refuse(question, seconds, reason)
        else:
            given = {"prediction": None, "fits": question.fits | verdicts}
            self._conclude(question, estimates.answer, "estimate.refused", seconds, given)

    def _measured(self, question: Any, run: ProgramRun, bench: Bench) -> ProgramMemoryResult:
        if (reason := capability()) is not None:
            raise NoSandboxError(reason)
        folder = RunFolder(self._settings.runs_folder / f"estimate-{question.id}-{question.token}", is_sandboxed=True)
        try:
            folder.make()
            self._order(run, bench).write(folder.written_by_run)
            self._programs.copy(run.program, folder.work)
            return believed(self._value(question, run, folder), bench)
        finally:
            folder.remove()

    def _order(self, run: ProgramRun, bench: Bench) -> RunOrder:
        return RunOrder(
            experiment=SLUG,
            spec={
                "program": run.program,
                run.experiment: run.spec,
                "card": bench.gpu.card,
                "room_bytes": bench.room_bytes,
                "limit_seconds": DEFAULT_LIMIT_SECONDS,
            },
            datasets_folder=Path(self._sandbox.data),
            cache_folder=CACHE_INSIDE,
            host_memory_bytes=self._memory_bytes,
        )

    def _value(self, question: Any, run: ProgramRun, folder: RunFolder) -> dict[str, Any]:
        """What the program says it took."""
        breaches: list[HostBreach | ProgramBreach] = []
        process = self._sandbox.start_measuring(folder, run.spec.get("datasets", ()))
        ours = question.id, question.token
        watched = f"estimate-{question.id}"

        def ended_for(breach: HostBreach | ProgramBreach) -> None:
            breaches.append(breach)
            process.kill()

        try:
            self._watch.watch(process.pid, folder, ended_for)
            self._sampler.watch(
                Watched(
                    watched,
                    folder.path,
                    process.pid,
                    gpu_uuids=(),
                    reserved_bytes=None,
                    on_breach=None,
                    host_limit_bytes=self._memory_bytes,
                    on_host_breach=ended_for,
                )
            )
            seconds = DEFAULT_LIMIT_SECONDS + SLACK_SECONDS
            late = partial(_raise_late, seconds)
            if not self._hold(process.wait, *ours, max_seconds=seconds, too_late=late):
                raise GivenBackError
        finally:
            self._sampler.unwatch(watched)
            self._watch.unwatch(process.pid)
            process.kill()
            process.wait(KILL_SECONDS)
        if breaches:
            raise NotBelievedError(str(breaches[0]))
        return self._said(folder, process)

    def _said(self, folder: RunFolder, process: ProgramProcess) -> dict[str, Any]:
        """Its answer counts where its host, which writes it last, ended well."""
        if trouble := trouble_of(process.end):
            raise OSError(trouble)
        ending = RecordReader(folder.written_by_run, distrust(self._settings.program_records_bytes)).ending()
        match ending:
            case Succeeded(value=value) if process.end is not None and process.end.status == 0:
                return value
            case Failed(message=message):
                raise NotBelievedError(message[:MAX_WORDS_CHARACTERS])
        raise NotBelievedError("the program ended without an answer")


def _next_bench(wanted: Mapping[str, GpuAsked]) -> tuple[Bench, list[str]]:
    """The card to measure next, and the keys of the GPUs that it answers for. GPUs that a node measured come first:
    the lab's own, whose answers jobs wait for.
    """
    benches = {key: bench_of(asked) for key, asked in wanted.items()} or {"": bench_of(None)}
    first = min(benches, key=lambda key: (key not in wanted or wanted[key].constants is None, key))
    return benches[first], [key for key in wanted if benches[key] == benches[first]]


def _raise_late(seconds: float) -> None:
    raise NotBelievedError(f"the program did not end within {seconds:g} s")
