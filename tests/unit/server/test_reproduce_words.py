"""What `gpulab reproduce` says at its end."""

from pathlib import Path

from server.commands.reproduce import _again


def test_lab_with_emulated_gpus_is_started_again_with_them() -> None:
    assert _again(Path("my data"), None) == "gpulab up --data 'my data'"
    assert _again(Path("data"), "T4,T4") == "gpulab up --data data --emulate T4,T4"
