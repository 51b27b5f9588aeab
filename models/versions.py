"""The versions that a prediction depends on."""

from collections.abc import Mapping

TRACED_WITH = ("torch", "torchvision")


def software(versions: Mapping[str, str]) -> str:
    """Of what a node says it runs, the part that decides what a step allocates."""
    return ", ".join(f"{name} {versions[name]}" for name in TRACED_WITH if name in versions)
