from pathlib import Path

import pytest

from sandbox import DeviceError, SandboxPolicy, device_nodes
from sandbox.command import arguments


def machine(tmp_path: Path, minors: dict[str, int]) -> tuple[Path, Path]:
    information, dev = tmp_path / "gpus", tmp_path / "dev"
    dev.mkdir()
    for name in ("nvidiactl", "nvidia-uvm", *(f"nvidia{minor}" for minor in minors.values())):
        (dev / name).touch()
    for number, (uuid, minor) in enumerate(minors.items()):
        folder = information / f"0000:{number:02x}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t NVIDIA H200\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n")
    return information, dev


def test_only_nodes_of_the_lease(tmp_path) -> None:
    # The order of the bus is not the order of the numbers.
    information, dev = machine(tmp_path, {"GPU-a": 1, "GPU-b": 0, "GPU-c": 10})
    found = device_nodes(["GPU-c", "GPU-b"], information, dev)
    assert [path.name for path in found] == ["nvidiactl", "nvidia-uvm", "nvidia10", "nvidia0"]


def test_no_gpu_needs_no_node(tmp_path) -> None:
    assert device_nodes([], tmp_path) == ()


def test_an_unknown_gpu_is_named(tmp_path) -> None:
    information, dev = machine(tmp_path, {"GPU-a": 0})
    with pytest.raises(DeviceError, match="GPU-x"):
        device_nodes(["GPU-a", "GPU-x"], information, dev)


def test_sysfs_is_there_only_beside_a_gpu() -> None:
    without = arguments(SandboxPolicy(), {}, {})
    beside = arguments(SandboxPolicy(devices=(Path("/dev/nvidia3"),)), {}, {})
    assert "/sys/devices" not in without
    assert "/sys/devices" in beside
    assert beside[beside.index("--dev-bind") + 1] == "/dev/nvidia3"
