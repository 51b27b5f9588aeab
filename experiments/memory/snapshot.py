"""The CUDA caching allocator's segments and blocks as a file that anybody may open: JSON, bounded, Python frames only.

`torch.cuda.memory._snapshot` gives a dict that is usually pickled; opening a pickle runs code, so artifacts are JSON.
The state at the peak is worked out backwards from the snapshot and the history of allocations that led to it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from experiments.contract import Run

ON_OUT_OF_MEMORY = "allocator-out-of-memory.json"
AT_THE_PEAK = "allocator-peak.json"
NO_GPU = "no GPU: torch's caching allocator serves only GPUs"
MAX_BYTES = 4 * 2**20
MAX_EVENTS = 200_000
MAX_FRAMES = 6
MIN_LISTED_BYTES = 2**20

State = dict[str, Any]


@contextmanager
def history() -> Iterator[None]:
    """Inside, the allocator notes who asks for what, as Python frames; nothing without a GPU."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        yield
        return
    torch.cuda.memory._record_memory_history(max_entries=MAX_EVENTS, stacks="python")
    try:
        yield
    finally:
        torch.cuda.memory._record_memory_history(enabled=None)


def keep(run: Run, name: str) -> tuple[str | None, str | None]:
    """Write the state now, or for `AT_THE_PEAK` at the peak, as an artifact; its name, or why there is none."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None, NO_GPU
    snapshot = torch.cuda.memory._snapshot()
    state = at_peak(snapshot) if name == AT_THE_PEAK else now(snapshot)
    with run.artifact(name) as path:
        path.write_bytes(bounded(state))
    return name, None


def now(snapshot: Mapping[str, Any]) -> State:
    """Segments with their blocks: where the reserved bytes are, and who holds them."""
    segments = [
        {
            "address": segment["address"],
            "size_bytes": segment["total_size"],
            "allocated_bytes": segment["allocated_size"],
            "pool": segment["segment_type"],
            "blocks": [
                {
                    "offset_bytes": block["address"] - segment["address"],
                    "size_bytes": block["size"],
                    "requested_bytes": block.get("requested_size", block["size"]),
                    "live": block["state"] == "active_allocated",
                    "frames": _frames(block.get("frames", ())),
                }
                for block in segment["blocks"]
            ],
        }
        for segment in snapshot["segments"]
    ]
    return {
        "moment": "now",
        "allocated_bytes": sum(segment["allocated_bytes"] for segment in segments),
        "reserved_bytes": sum(segment["size_bytes"] for segment in segments),
        "segments": segments,
    }


def at_peak(snapshot: Mapping[str, Any]) -> State:
    """What was live when most was, within the noted history: each block with its size and who asked for it."""
    live = {
        block["address"]: (block["size"], block.get("frames", ()))
        for segment in snapshot["segments"]
        for block in segment["blocks"]
        if block["state"] == "active_allocated"
    }
    events = [event for device in snapshot["device_traces"] for event in device]
    peak, at = _highest(events, sum(size for size, _ in live.values()))
    makers: dict[int, Any] = {}
    for event in events[:at]:
        if event["action"] == "alloc":
            makers[event["addr"]] = event.get("frames", ())
    for event in reversed(events[at:]):
        if event["action"] == "alloc":
            live.pop(event["addr"], None)
        elif event["action"] == "free_completed":
            # What frees a block says nothing of it; what last asked for its address does.
            live[event["addr"]] = (event["size"], makers.get(event["addr"], ()))
    blocks = sorted(live.values(), key=lambda block: -block[0])
    listed = [{"size_bytes": size, "frames": _frames(frames)} for size, frames in blocks if size >= MIN_LISTED_BYTES]
    return {
        "moment": "peak",
        "allocated_bytes": peak,
        "blocks": listed,
        "smaller_blocks": len(blocks) - len(listed),
    }


def _highest(events: Sequence[Mapping[str, Any]], at_end: int) -> tuple[int, int]:
    """The most bytes live, and how many events had happened by then; the last of equals."""
    live = peak = at_end
    at = len(events)
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        live += {"alloc": -event["size"], "free_completed": event["size"]}.get(event["action"], 0)
        if live > peak:
            peak, at = live, index
    return peak, at


def bounded(state: State, most_bytes: int = MAX_BYTES) -> bytes:
    """As JSON within a limit of bytes. Frames are dropped first, then the smallest entries; `left_out` counts those."""
    text = _json(state)
    if len(text) <= most_bytes:
        return text
    entries = "segments" if "segments" in state else "blocks"
    kept = [_without_frames(entry) for entry in state[entries]]
    kept.sort(key=lambda entry: -int(entry["size_bytes"]))
    total = len(kept)
    while True:
        text = _json(state | {entries: kept, "left_out": total - len(kept)})
        if len(text) <= most_bytes or not kept:
            return text
        kept = kept[: len(kept) // 2]


def _without_frames(entry: State) -> State:
    blocks = [_without_frames(block) for block in entry["blocks"]] if "blocks" in entry else None
    rest = {name: value for name, value in entry.items() if name not in {"frames", "blocks"}}
    return rest if blocks is None else rest | {"blocks": blocks}


def _json(state: State) -> bytes:
    return json.dumps(state, separators=(",", ":")).encode()


def _frames(frames: Sequence[Mapping[str, Any]]) -> list[str]:
    """The innermost Python frames, without the machine's folders."""
    told = [frame for frame in frames if str(frame["filename"]).endswith(".py")][:MAX_FRAMES]
    return [f"{_short(frame['filename'])}:{frame['line']} {frame['name']}" for frame in told]


def _short(path: str) -> str:
    return "/".join(path.split("/")[-3:])
