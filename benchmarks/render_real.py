"""What `benchmarks.real_gpu` found, for docs/emulator.md: each card that was measured beside the emulated one."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markers import between
from emulator.cards import CARDS, MIB
from experiments.memory.devices import known_model

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "emulator.md"
KINDS = ("allocated_bytes", "reserved_bytes")
NONE_YET = "**No card has been measured yet.** The context and the descriptions in `emulator/cards.py` are guesses."


def measured() -> list[dict[str, Any]]:
    """The committed results, a card each."""
    return [json.loads(path.read_text()) for path in sorted((ROOT / "benchmarks" / "results").glob("real-*.json"))]


def rendered(page: str, results: Sequence[dict[str, Any]]) -> str:
    """The page with these results between its markers."""
    return between(page, "real", "\n\n".join("\n".join(_of(found)) for found in results).splitlines() or [NONE_YET])


def _of(found: dict[str, Any]) -> Iterator[str]:
    versions = found["machine"]["packages"]
    yield (
        f"**{found['card']}**, torch {versions['torch']}. `tests/gpu`: {found['tests']}. "
        f"Context: {found['context_bytes'] / MIB:,.0f} MiB{_guessed(found['card'])}. In MiB:"
    )
    yield ""
    yield "| case | peak | real | emulated | emulated is off by |"
    yield "|---|---|---|---|---|"
    for case in found["cases"]:
        words = [str(value) for name, value in case.items() if not name.endswith("_bytes")]
        yield from (_row(", ".join(words), kind, case[kind], case.get(f"emulated_{kind}")) for kind in KINDS)


def _guessed(name: str) -> str:
    card = CARDS.get(known_model(name) or "")
    return "" if card is None else f" (the emulator's guess is {card.generation.context_bytes / MIB:,.0f})"


def _row(case: str, kind: str, real: int | None, emulated: int | None) -> str:
    off = "" if real is None or emulated is None else f"{emulated - real:+,} bytes ({emulated / real - 1:+.2%})"
    numbers = ["does not run" if size is None else f"{size / MIB:,.1f}" for size in (real, emulated)]
    return f"| {case} | {kind.removesuffix('_bytes')} | {' | '.join(numbers)} | {off} |"
