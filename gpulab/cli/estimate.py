"""`gpulab estimate`."""

from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session, print_json, session_command
from gpulab.cli.specs.submission import read_submission

if TYPE_CHECKING:
    from gpulab.schemas import AccuracyRead, BytesInterval, ConstantsUsed, EstimateRead, GpuVerdict
    from gpulab.schemas.memory import Parts

app = typer.Typer()

STEP = frozenset({"zero_grad", "forward", "backward", "step"})


@session_command(app)
def estimate(
    session: Session,
    experiment: Annotated[
        str | None,
        typer.Argument(metavar="EXPERIMENT|SPEC.yaml", help="An experiment, or a file that names one."),
    ] = None,
    spec: Annotated[str | None, typer.Option(help="The spec: a JSON object, or a YAML or JSON file.")] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("-p", "--param", metavar="KEY=VALUE", help="Set one field of the spec; repeatable."),
    ] = None,
    gpus: Annotated[
        list[str] | None,
        typer.Option("--gpu", metavar="MODEL", help="Also check this GPU model, such as T4; repeatable."),
    ] = None,
    accuracy: Annotated[
        bool, typer.Option("--accuracy", help="Show the errors of the lab's past predictions.")
    ] = False,
) -> None:
    """Predict the GPU memory of a run, and on which GPUs it fits."""
    if accuracy:
        _show_accuracy(session, session.client.estimate_accuracy())
        return
    if experiment is None:
        raise BadInput("name an experiment, or use --accuracy")
    submission = read_submission(experiment, spec, parameters or [])
    with submission.named():
        found = session.client.estimate(submission.fields["experiment"], submission.fields["spec"], gpus=gpus or ())
    if session.as_json:
        print_json(found)
    else:
        show(found)


def show(found: "EstimateRead") -> None:
    """The peak, its parts, and a verdict for each GPU."""
    from gpulab.cli.tables import byte_size, print_facts

    if found.peak_device_bytes is None:
        print(f"{found.state.replace('_', ' ')}: {found.reason or 'the prediction is not ready yet; try again'}")
        return
    print_facts(
        [
            ("peak on the device", _interval(found.peak_device_bytes)),
            ("allocated", byte_size(found.peak_allocated_bytes)),
            ("reserved", byte_size(found.peak_reserved_bytes)),
            ("reached in", phase_in_words(found.peak_phase)),
        ]
    )
    if found.parts is not None:
        _show_parts(found.parts)
    if found.claimed_by_program:
        print("\nThe program measured this itself in its sandbox. Later steps are not counted.")
    for assumption in found.assumptions or ():
        print(f"Assumed: {assumption}")
    for verdict in found.gpus:
        _show_verdict(verdict)
    if found.gpus_pending:
        print(f"\nStill being measured: {', '.join(found.gpus_pending)}. Ask again for their verdicts.")
    elif found.reason is not None:
        print(f"\nOther GPUs were not measured: {found.reason}")


def _show_parts(parts: "Parts") -> None:
    from gpulab.cli.tables import byte_size, print_facts

    sizes = parts.model_dump(exclude={"cuda_context"})
    print()
    print_facts(
        [
            *((name.removesuffix("_bytes").replace("_", " "), byte_size(value)) for name, value in sizes.items()),
            ("CUDA context", _interval(parts.cuda_context)),
        ]
    )


def phase_in_words(phase: str | None) -> str | None:
    """`second_backward` for people."""
    if phase is None:
        return None
    name = phase.removeprefix("second_")
    step = "second" if name != phase else "first"
    return f"{name.replace('_', ' ')} of the {step} step" if name in STEP else name


def _show_verdict(gpu: "GpuVerdict") -> None:
    from gpulab.cli.tables import byte_size

    if gpu.peak_device_bytes is None:
        print(f"\n{gpu.name} ({byte_size(gpu.total_bytes)}): not predicted. {gpu.reason}")
        return
    words = {"fits": "fits", "fits_up_to": f"too large; batch {gpu.max_batch_size} fits", "cannot_fit": "cannot fit"}
    likely = "" if gpu.certain else " likely"
    largest = f", up to batch {gpu.max_batch_size}" if gpu.verdict == "fits" and gpu.max_batch_size else ""
    if gpu.max_batch_size_without_retries != gpu.max_batch_size:
        largest += f"; without retries of the allocator up to batch {gpu.max_batch_size_without_retries or 'none'}"
    print(f"\n{gpu.name} ({byte_size(gpu.total_bytes)}):{likely} {words[gpu.verdict]}{largest}")
    print(f"  peak {byte_size(gpu.peak_device_bytes.likely_bytes)}, by PyTorch's allocator on an emulated {gpu.card}")
    print(f"  CUDA context {_interval(gpu.constants.cuda_context)}, {_source(gpu.constants)}")
    for edit in gpu.edits:
        change = ", ".join(f"{name}={value}" for name, value in edit.change.items())
        fits = "" if edit.fits else ", still too large"
        print(f"  {change}: {byte_size(edit.peak_device_bytes.likely_bytes)}{fits}. {edit.reason}")


def _source(constants: "ConstantsUsed") -> str:
    if constants.measured is None:
        return "a default: no node of the lab has measured it"
    return f"measured by a node with {constants.measured.provenance}"


def _show_accuracy(session: Session, found: "AccuracyRead") -> None:
    from gpulab.cli.tables import print_table

    if session.as_json:
        print_json(found)
    elif not found.items:
        print("No run on a GPU has been measured yet.")
    else:
        rows = (
            [
                row.family,
                row.gpu,
                str(row.runs),
                _percent(row.median_error),
                _percent(row.p95_error),
                f"{row.margin:.1%}",
            ]
            for row in found.items
        )
        print_table(["FAMILY", "GPU", "RUNS", "MEDIAN ERROR", "95 %", "MARGIN"], rows)


def _percent(share: float | None) -> str:
    return "?" if share is None else f"{share:+.1%}"


def _interval(found: "BytesInterval") -> str:
    from gpulab.cli.tables import byte_size

    return f"{byte_size(found.likely_bytes)} ({byte_size(found.low_bytes)} to {byte_size(found.high_bytes)})"
