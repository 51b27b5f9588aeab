"""Where a run's memory went, for people."""

from gpulab.cli.tables import byte_size, print_facts, print_table, printable
from gpulab.schemas import OutOfMemoryRead

SIZES = (
    "requested", "allocated", "reserved", "fragmentation", "process_used", "device_used", "limit", "predicted_peak",
)  # fmt: skip


def print_failure(failure: OutOfMemoryRead) -> None:
    """Where the memory went, what held most of it, and what would fit."""
    known = [(name, getattr(failure, f"{name}_bytes")) for name in SIZES]
    print("\nOut of memory")
    print_facts(
        [
            ("ended by", failure.ended_by),
            ("at", failure.at and f"{failure.at:%Y-%m-%d %H:%M:%S %Z}"),
            (_label(failure, "phase"), failure.phase),
            (_label(failure, "layer", "module"), failure.module),
            *(
                (_label(failure, name.replace("_", " "), f"{name}_bytes"), byte_size(size))
                for name, size in known
                if size is not None
            ),
            ("allocator snapshot", failure.snapshot),
        ]
    )
    if failure.claimed_by_program:
        print("* what the program says of itself; the lab did not measure it")
    _print_tensors(failure)
    _print_edits(failure)


def _label(failure: OutOfMemoryRead, label: str, field: str | None = None) -> str:
    return f"{label} *" if (field or label) in failure.claimed_by_program else label


def _print_tensors(failure: OutOfMemoryRead) -> None:
    if not failure.largest_tensors:
        if "largest_tensors" in failure.reasons:
            print(printable(f"The largest tensors are not known: {failure.reasons['largest_tensors']}"))
        return
    print_table(
        ["LARGEST TENSORS", "KIND", "SHAPE", "SIZE"],
        (
            [tensor.name, tensor.kind, " × ".join(map(str, tensor.shape or ())), byte_size(tensor.size_bytes)]
            for tensor in failure.largest_tensors
        ),
    )


def _print_edits(failure: OutOfMemoryRead) -> None:
    if not failure.edits:
        if "edits" in failure.reasons:
            print(printable(f"No change is suggested: {failure.reasons['edits']}"))
        return
    print_table(
        ["CHANGE", "PREDICTED PEAK", "FITS", "WHY"],
        (
            [
                ", ".join(f"{name}={value}" for name, value in edit.change.items()),
                byte_size(edit.peak_device_bytes.likely_bytes),
                "yes" if edit.fits else "no",
                edit.reason,
            ]
            for edit in failure.edits
        ),
    )
