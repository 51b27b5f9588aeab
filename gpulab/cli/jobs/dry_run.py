"""What `--dry-run` shows: the job as the lab would store it, and the memory that it is predicted to take."""

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from gpulab.cli.session import Session, print_json

if TYPE_CHECKING:
    from gpulab.schemas import DryRunRead, EstimateRead


def show(session: Session, found: "DryRunRead") -> None:
    """An experiment's dry run, with its memory in one line."""
    if session.as_json:
        print_json(found)
    else:
        _print_order(found, ("GPU memory", _predicted(found.estimate)))


def show_program(session: Session, found: "DryRunRead") -> None:
    """A program's dry run, with a verdict for each GPU. Waits for the lab to measure the program."""
    from gpulab.cli.estimate import show as show_estimate

    if not session.as_json:
        _print_order(found)
    estimate = _awaited(session, found)
    if session.as_json:
        print_json(found.model_copy(update={"estimate": estimate}))
        return
    print()
    if estimate is not None:
        show_estimate(estimate)
    print("\nNo job was queued.")


def _awaited(session: Session, found: "DryRunRead") -> "EstimateRead | None":
    """A dry run waits for seconds; to measure a program takes up to a minute."""
    from gpulab.schemas import EstimateState

    if found.estimate is None or found.estimate.state is not EstimateState.PENDING:
        return found.estimate
    print("The lab predicts the GPU memory. This can take a minute.", file=sys.stderr, flush=True)
    return session.client.estimate(found.experiment, found.spec)


def _print_order(found: "DryRunRead", *more: tuple[str, str | None]) -> None:
    from gpulab.cli.tables import duration, print_facts, value_text

    print_facts(
        [
            ("experiment", found.experiment),
            *((f"spec.{field}", value_text(value)) for field, value in found.spec.items()),
            ("time limit", duration(timedelta(seconds=found.time_limit_seconds))),
            ("gpus", "chosen by the lab" if found.gpus is None else found.gpus),
            ("exclusive", found.exclusive),
            ("datasets", ", ".join(found.datasets)),
            *more,
        ]
    )


def _predicted(estimate: "EstimateRead | None") -> str | None:
    from gpulab.cli.tables import byte_size

    if estimate is None:
        return None
    if estimate.peak_device_bytes is None:
        return f"{estimate.state.replace('_', ' ')}: {estimate.reason or 'ask `gpulab estimate`'}"
    peak = estimate.peak_device_bytes
    return f"{byte_size(peak.likely_bytes)} predicted ({byte_size(peak.low_bytes)} to {byte_size(peak.high_bytes)})"
