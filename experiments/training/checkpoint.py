"""A checkpoint: tensors and plain values only, so that reading it can run no code."""

from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, state: dict[str, Any], device: str) -> None:
    """Write a nested dict of tensors and plain values, and the random state of torch's own generators."""
    random_state = {"cpu": torch.get_rng_state()}
    if device == "cuda":
        random_state["cuda"] = torch.cuda.get_rng_state()
    torch.save({**state, "random_state": random_state}, path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, onto the CPU, and put torch's generators back to where they were."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    random_state = state.pop("random_state")
    torch.set_rng_state(random_state["cpu"])
    if "cuda" in random_state and torch.cuda.is_available():
        torch.cuda.set_rng_state(random_state["cuda"])
    return state
