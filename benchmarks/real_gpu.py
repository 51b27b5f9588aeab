"""`python -m benchmarks.real_gpu`: the day a card is at hand. In under five minutes, on any NVIDIA GPU:

runs `tests/gpu`, reads what a process takes besides its tensors and how cuDNN describes the card, takes the ten cases
of `benchmarks.step_memory`, and writes real against emulated, byte by byte, to benchmarks/results/real-<card>.json.
"""

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import machine, step_memory
from emulator import RefusedError, is_emulated
from emulator.loading import refuse_beside_a_driver
from experiments.memory.devices import known_model

LIMIT_SECONDS = 290
"""For all of it."""
TESTS_SECONDS = 140
DEVICE_DESCRIPTOR, DEVICE_ID, DEVICE_JSON, IS_INT32, IS_CHAR = 38, 2700, 2702, 23, 24
"""cuDNN's numbers (cudnn_graph.h)."""


def main() -> int:
    if not _is_real():
        print("no card has been measured: this machine has no NVIDIA GPU, and an emulated one is no measurement")
        return 1
    import torch

    started = time.monotonic()
    name = torch.cuda.get_device_name()
    print(f"{name}: running tests/gpu")
    found: dict[str, Any] = {"machine": machine.describe(), "card": name, "tests": _tests()}
    found |= {"context_bytes": _context_bytes(), "cudnn_description": _cudnn_description()}
    cases = step_memory.on_card(None, limit_seconds=started + LIMIT_SECONDS - time.monotonic())
    found["cases"] = list(_beside_the_emulated(known_model(name), cases))
    path = step_memory.RESULTS.with_name(f"real-{name.lower().replace(' ', '-')}.json")
    path.write_text(json.dumps(found, indent=1) + "\n")
    _show(found)
    print(f"kept in {path}")
    return 0


def _is_real() -> bool:
    try:
        refuse_beside_a_driver()
    except RefusedError:
        return not is_emulated()
    return False


def _tests() -> str:
    """The last line of pytest."""
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-q", "-n", "0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TESTS_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {TESTS_SECONDS} s"
    return done.stdout.strip().splitlines()[-1]


def _context_bytes() -> int:
    """In use on the device with a context and one tensor, less its segment; others' memory is in it."""
    import torch

    torch.zeros(1, device="cuda")
    free, total = torch.cuda.mem_get_info()
    return total - free - torch.cuda.memory_reserved()


def _cudnn_description() -> Any:
    """What `emulator/c/cudnn.c` writes by hand, in the card's own words; a text where cuDNN does not say."""
    cudnn = ctypes.CDLL("libcudnn.so.9")
    descriptor, device, count = ctypes.c_void_p(), ctypes.c_int32(0), ctypes.c_int64()
    text = ctypes.create_string_buffer(1 << 16)
    steps: tuple[Callable[[], int], ...] = (
        lambda: cudnn.cudnnBackendCreateDescriptor(DEVICE_DESCRIPTOR, ctypes.byref(descriptor)),
        lambda: cudnn.cudnnBackendSetAttribute(
            descriptor, DEVICE_ID, IS_INT32, ctypes.c_int64(1), ctypes.byref(device)
        ),
        lambda: cudnn.cudnnBackendFinalize(descriptor),
        lambda: cudnn.cudnnBackendGetAttribute(
            descriptor, DEVICE_JSON, IS_CHAR, ctypes.c_int64(len(text)), ctypes.byref(count), text
        ),
    )
    for number, step in enumerate(steps, 1):
        if status := step():
            return f"cuDNN refused step {number} of {len(steps)} with {status}"
    return json.loads(text.value)


def _beside_the_emulated(card: str | None, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    emulated = json.loads(step_memory.RESULTS.read_text())["cards"].get(card) or [{}] * len(cases)
    return [case | {f"emulated_{key}": other.get(key) for key in case if key.endswith("_bytes")}
            for case, other in zip(cases, emulated, strict=True)]  # fmt: skip


def _show(found: dict[str, Any]) -> None:
    print(f"tests: {found['tests']}\ncontext: {found['context_bytes']:,} bytes")
    for case in found["cases"]:
        what = f"{case['model']} {case['batch_size']} {case['optimizer']}"
        for key in ("allocated_bytes", "reserved_bytes"):
            print(f"{what:40} {key:16} real {case[key]} emulated {case[f'emulated_{key}']}")


if __name__ == "__main__":
    sys.exit(main())
