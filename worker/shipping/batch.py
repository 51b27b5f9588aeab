"""What one turn of the shipper found, sorted by the table it belongs to."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from experiments.hosting import wire
from experiments.hosting.record_reader import Broken
from experiments.hosting.wire import Record, Sample
from worker.shipping.uploads import Files


@dataclass(slots=True)
class Series:
    """Points of one metric."""

    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, step: int, time: float, value: float) -> None:
        self.steps.append(step)
        self.times.append(time)
        self.values.append(value)


@dataclass(slots=True)
class Batch:
    """`add` the records and samples of a turn in their order."""

    metrics: dict[str, Series] = field(default_factory=lambda: defaultdict(Series))
    samples: dict[tuple[str, str | None], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    phases: list[wire.Phase] = field(default_factory=list)
    files: Files = field(default_factory=Files)
    progress: wire.Progress | None = None
    versions: dict[str, str] | None = None
    warnings: list[str] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    output: bytes = b""

    def add(self, found: Iterable[Record | Sample | Broken]) -> None:
        for each in found:
            match each:
                case Broken():
                    self.broken.append(each)
                case Sample():
                    self.samples[each.source, each.gpu].append(each)
                case wire.Metric():
                    for name, value in each.values.items():
                        self.metrics[name].add(each.step, each.time, value)
                case wire.Memory():
                    self.samples["allocator", None].append(_sample("allocator", each))
                case wire.Predicted():
                    self.samples["prediction", None].append(_sample("prediction", each))
                case wire.File() | wire.CheckpointFile():
                    self.files.add(each)
                case _:
                    self._show(each)

    def _show(self, record: Record) -> None:
        match record:
            case wire.Phase():
                self.phases.append(record)
            case wire.Progress():
                self.progress = record
            case wire.Started():
                self.versions = record.versions
            case wire.Warned():
                self.warnings.append(record.message)
            case _:
                pass  # how the run ended is read when its process has

    def shown(self) -> dict[str, Any]:
        """What the job shows of itself from now on, as columns of it."""
        shown: dict[str, Any] = {}
        if self.progress is not None:
            shown["progress_fraction"] = self.progress.fraction
            shown["progress_message"] = self.progress.message
        if self.versions is not None:
            shown["versions"] = self.versions
        return shown

    def sample_rows(self) -> list[dict[str, Any]]:
        """A row for each source and GPU."""
        return [_sample_row(source, gpu, samples) for (source, gpu), samples in self.samples.items()]

    def broken_words(self) -> str:
        several = (
            f"{len(self.broken)} lines of its records were" if len(self.broken) > 1 else "a line of its records was"
        )
        return f"{several} not readable and skipped; {self.broken[0]}"


def _sample(source: str, record: wire.Memory | wire.Predicted) -> Sample:
    return Sample.model_construct(time=record.time, source=source, gpu=None, values={**record.levels()}, reasons={})


def _sample_row(source: str, gpu: str | None, samples: list[Sample]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for sample in samples for name in sample.values))
    return {
        "source": source,
        "gpu_uuid": gpu,
        "times": [sample.time for sample in samples],
        "values": {name: [sample.values.get(name) for sample in samples] for name in names},
        "reasons": {name: reason for sample in samples for name, reason in sample.reasons.items()},
    }
