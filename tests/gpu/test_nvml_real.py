"""NVML beside CUDA on a real GPU: what a process allocates, the driver must show."""

import subprocess

import pytest

from tests.gpu.holding import holding
from worker.measuring.nvml import GpuReading, Nvml

pytestmark = pytest.mark.gpu

GIB = 1 << 30


def test_allocation_shows_on_the_device_and_by_uuid(nvml: Nvml, uuid: str) -> None:
    before = nvml.read(uuid).device_used_bytes
    with holding(uuid, 2 * GIB):
        during = nvml.read(uuid).device_used_bytes
    assert before is not None
    assert during is not None
    assert during - before >= 2 * GIB, "the tensor and the CUDA context"


def test_process_memory_is_the_tensor_and_its_context_or_null_with_a_reason(nvml: Nvml, uuid: str) -> None:
    with holding(uuid, 2 * GIB) as pid:
        reading = nvml.read(uuid)
    used = (reading.processes or {}).get(pid)
    if used is None:
        pytest.skip(f"this driver does not show the process: {reading.reasons.get('processes', 'not listed')}")
    assert 2 * GIB <= used < 4 * GIB


def test_driver_and_nvidia_smi_agree_on_the_memory(nvml: Nvml, uuid: str) -> None:
    query = ["nvidia-smi", f"--id={uuid}", "--query-gpu=memory.total,uuid", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
    except FileNotFoundError:
        pytest.skip("nvidia-smi is not installed")
    total_mib, name = answer.strip().split(", ")
    reading: GpuReading = nvml.read(uuid)
    assert name == uuid
    assert reading.device_total_bytes is not None
    assert abs(reading.device_total_bytes - int(total_mib) * (1 << 20)) < 1 << 20
