from pathlib import Path

import pytest

from sandbox import DeviceError, MigInstance, SandboxPolicy, device_nodes
from sandbox.command import arguments

CAPABILITIES = """config 1
monitor 2
gpu0/gi1/access 12
gpu0/gi1/ci0/access 13
gpu0/gi2/access 21
gpu0/gi2/ci0/access 22
gpu0/gi2/ci1/access 23
gpu3/gi1/access 400
gpu3/gi1/ci0/access 401
"""


def machine(root: Path, minors: dict[str, int]) -> Path:
    information, dev = root / "proc/driver/nvidia/gpus", root / "dev"
    dev.mkdir()
    for name in ("nvidiactl", "nvidia-uvm", *(f"nvidia{minor}" for minor in minors.values())):
        (dev / name).touch()
    for number, (uuid, minor) in enumerate(minors.items()):
        folder = information / f"0000:{number:02x}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t NVIDIA H200\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n")
    return root


def test_only_nodes_of_the_lease(tmp_path) -> None:
    # The order of the bus is not the order of the numbers.
    found = device_nodes(["GPU-c", "GPU-b"], root=machine(tmp_path, {"GPU-a": 1, "GPU-b": 0, "GPU-c": 10}))
    assert [path.name for path in found] == ["nvidiactl", "nvidia-uvm", "nvidia10", "nvidia0"]


def test_no_gpu_needs_no_node(tmp_path) -> None:
    assert device_nodes([], root=tmp_path) == ()


def test_an_unknown_gpu_is_named(tmp_path) -> None:
    root = machine(tmp_path, {"GPU-a": 0})
    with pytest.raises(DeviceError, match="GPU-x"):
        device_nodes(["GPU-a", "GPU-x"], root=root)


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """A machine with two GPUs that are divided, and one that is whole."""
    root = machine(tmp_path, {"GPU-a": 0, "GPU-b": 3, "GPU-c": 1})
    (root / "proc/driver/nvidia-caps").mkdir()
    (root / "proc/driver/nvidia-caps/mig-minors").write_text(CAPABILITIES)
    return root


@pytest.mark.parametrize(
    ("instances", "nodes"),
    [
        ({"MIG-1": MigInstance("GPU-a", 2, 1)}, ["nvidia0", "nvidia-cap21", "nvidia-cap23"]),
        (
            {"MIG-1": MigInstance("GPU-a", 2, 0), "MIG-2": MigInstance("GPU-a", 2, 1)},
            ["nvidia0", "nvidia-cap21", "nvidia-cap22", "nvidia-cap23"],
        ),
        ({"MIG-1": MigInstance("GPU-b", 1, 0)}, ["nvidia3", "nvidia-cap400", "nvidia-cap401"]),
    ],
)
def test_part_of_a_gpu_comes_with_its_own_capabilities_and_no_others(
    divided: Path, instances: dict[str, MigInstance], nodes: list[str]
) -> None:
    found = device_nodes(instances, instances, divided)
    assert [path.name for path in found] == ["nvidiactl", "nvidia-uvm", *nodes]
    assert {path.parent.name for path in found if "cap" in path.name} == {"nvidia-caps"}


def test_whole_gpu_beside_divided_ones_gets_no_capability(divided: Path) -> None:
    found = device_nodes(["GPU-c"], {}, divided)
    assert [path.name for path in found] == ["nvidiactl", "nvidia-uvm", "nvidia1"]


def test_part_that_the_driver_does_not_list_is_named(divided: Path, tmp_path: Path) -> None:
    gone = {"MIG-1": MigInstance("GPU-a", 7, 0)}
    with pytest.raises(DeviceError, match="gpu0/gi7/access, gpu0/gi7/ci0/access"):
        device_nodes(gone, gone, divided)
    with pytest.raises(DeviceError, match="MIG-9"):
        device_nodes(["MIG-9"], {}, divided)
    # A driver that guards its parts otherwise has no such list.
    (divided / "proc/driver/nvidia-caps/mig-minors").unlink()
    part = {"MIG-1": MigInstance("GPU-a", 1, 0)}
    with pytest.raises(DeviceError, match="gpu0/gi1/access"):
        device_nodes(part, part, divided)


def test_sysfs_is_there_only_beside_a_gpu() -> None:
    without = arguments(SandboxPolicy(), {}, {})
    beside = arguments(SandboxPolicy(devices=(Path("/dev/nvidia3"),)), {}, {})
    assert "/sys/devices" not in without
    assert "/sys/devices" in beside
    assert beside[beside.index("--dev-bind") + 1] == "/dev/nvidia3"
