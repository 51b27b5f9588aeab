"""Lines of jobs: what runs beside its GPU or node, and what waits, with its place and the reason."""

from collections.abc import Iterator
from datetime import datetime
from textwrap import wrap
from uuid import UUID

from rich.text import Text

from gpulab.cli.live.overview import Overview, WaitingJob
from gpulab.cli.tables import STATE_STYLES, byte_size, duration, printable, roughly
from gpulab.schemas import GpuRead, JobSummary, NodeRead
from gpulab.states import STATE_WORDS, Role

WHOLE_ID_CELLS = 130
"""From this width on ids are shown whole; below, their end: the beginning is the same for jobs of one minute."""
END_OF_ID = 8
NARROW_CELLS = 60
REASON_INDENT = " " * 4
MAX_REASON_LINES = 3


def clipped(line: Text, width: int) -> Text:
    """At most `width` cells, with an ellipsis where something was cut."""
    line = line.copy()
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def spread(left: Text, right: Text, width: int) -> Text:
    """Left and right in one line; the left gives way."""
    room = max(width - right.cell_len - 1, 0)
    left = clipped(left, room)
    left.pad_right(room - left.cell_len + 1)
    return left.append_text(right)


def job_id(job: JobSummary, width: int) -> str:
    if width >= WHOLE_ID_CELLS:
        return str(job.id)
    return f"…{str(job.id)[-(END_OF_ID if width >= NARROW_CELLS else END_OF_ID // 2) :]}"


def title(job: JobSummary) -> str:
    """Whose it is and what."""
    what = f"{job.name} ({job.experiment})" if job.name else job.experiment
    return printable(f"{job.owner}  {what}")


class RunningRows:
    """Hands out the line of each running job: below its GPU, below its node, or in the rest."""

    def __init__(self, seen: Overview, width: int) -> None:
        self._seen = seen
        self._width = width
        self._shown: set[UUID] = set()

    def on_gpu(self, gpu: GpuRead) -> Iterator[Text]:
        jobs = [job for job in self._seen.running if gpu.uuid in job.gpu_uuids]
        for job in jobs:
            yield self._row(job)
        if gpu.memory_reserved_bytes and not jobs and self._seen.me.role == Role.STUDENT:
            yield Text("    └ jobs of other users", style="dim")

    def on_cpu(self, node: NodeRead) -> Iterator[Text]:
        for job in self._seen.running:
            if job.node == node.name and not job.gpu_uuids:
                yield self._row(job)

    def elsewhere(self) -> list[Text]:
        """Jobs of nodes and GPUs that are not there any more."""
        rest = [self._row(job) for job in self._seen.running if job.id not in self._shown]
        return [Text("elsewhere", style="bold"), *rest, Text()] if rest else []

    def _row(self, job: JobSummary) -> Text:
        if job.id in self._shown:
            return Text(f"    └ {job_id(job, self._width)} as well", style="dim")
        self._shown.add(job.id)
        return running_row(job, self._seen.at, self._width)


def running_row(job: JobSummary, now: datetime, width: int) -> Text:
    style = STATE_STYLES[job.state]
    done = f"{job.progress.fraction:.0%}" if job.progress else ""
    since = duration(now - (job.started_at or job.submitted_at))
    kept = f"{byte_size(job.gpu_memory_bytes)}  " if job.gpu_memory_bytes and job.gpu_uuids else ""
    kept = kept if width >= NARROW_CELLS else ""
    message = f"  {printable(job.progress.message)}" if job.progress and job.progress.message else ""
    left = Text.assemble("    └ ", (job_id(job, width), "bold"), f"  {title(job)}", (message, "dim"))
    right = Text.assemble(kept, (f"{done or STATE_WORDS[job.state]:>4}", style), f"  {since}")
    return spread(left, right, width)


def waiting_rows(seen: Overview, width: int) -> Iterator[Text]:
    if not seen.waiting:
        yield Text("no jobs are waiting", style="dim")
        return
    yield Text(f"waiting: {len(seen.waiting)}{'+' if seen.cut else ''}", style="bold")
    for waiting in seen.waiting:
        yield from _waiting_row(waiting, seen.at, width)


def _waiting_row(waiting: WaitingJob, now: datetime, width: int) -> Iterator[Text]:
    job = waiting.job
    place = f"{waiting.queue.position}." if waiting.queue else "–"
    why = printable(waiting.queue.explanation if waiting.queue else job.message or "")
    left = Text.assemble((f"{place:>5} ", "bold"), (job_id(job, width), "bold"), f"  {title(job)}")
    if job.priority != "normal":
        left.append(f"  {job.priority} priority", style="magenta")
    since = roughly(now - job.submitted_at)
    starts = waiting.queue.estimated_start_at if waiting.queue else None
    right = Text(
        since if starts is None or width < NARROW_CELLS else f"{since}, starts in about {roughly(starts - now)}"
    )
    if width < NARROW_CELLS or len(left) + len(why) + len(right) + 4 > width:
        yield spread(left, right, width)
        for line in wrap(why, max(width - len(REASON_INDENT), 10), max_lines=MAX_REASON_LINES, placeholder=" …"):
            yield Text(REASON_INDENT + line, style="dim")
        return
    yield spread(left.append(f"  {why}", style="dim"), right, width)
