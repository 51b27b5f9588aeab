"""The emulated driver as any program sees it, without torch: processes of their own that call it through ctypes."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.build import BuildError, build
from emulator.cards import MIB, card, cards
from emulator.loading import environment
from emulator.world import VARIABLE, World, emulated, uuid_of

OUT_OF_MEMORY, INVALID_DEVICE, NO_DEVICE, LAUNCH_FAILURE = 2, 101, 100, 719
DRIVER = """
import ctypes, os, sys
cuda = ctypes.CDLL("libcuda.so.1")
MIB = 1 << 20
def malloc(size):
    place = ctypes.c_void_p()
    return cuda.cudaMalloc(ctypes.byref(place), ctypes.c_size_t(size)), place
def memory():
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    assert cuda.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)) == 0
    return free.value, total.value
def count():
    found = ctypes.c_int()
    cuda.cudaGetDeviceCount(ctypes.byref(found))
    return found.value
"""
NVML = """
import pynvml
pynvml.nvmlInit()
def used(index):
    return pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(index), version=pynvml.nvmlMemory_v2).used
def processes(index):
    found = pynvml.nvmlDeviceGetComputeRunningProcesses(pynvml.nvmlDeviceGetHandleByIndex(index))
    return {process.pid: process.usedGpuMemory for process in found}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    try:
        build()
    except BuildError as error:
        pytest.skip(str(error))
    world = World(tmp_path / "world.txt")
    write(world, "T4,L4")
    return world


def write(world: World, names: str, **changes: int) -> None:
    world.write(*(replace(emulated(wanted, at), **changes) for at, wanted in enumerate(cards(names))))


def start(world: World, code: str, **more: str) -> subprocess.Popen[str]:
    env = os.environ | environment(world) | more
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", DRIVER + code], env=env, stdin=pipe, stdout=pipe, text=True)


def answer(world: World, code: str, **more: str) -> object:
    """What the expression `code` is, there."""
    process = start(world, f"print(repr({code}))", **more)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return eval(output)  # noqa: S307 - the test's own


@contextmanager
def running(world: World, code: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has run `code` and holds still."""
    with start(world, code + "\nprint('up', flush=True)\nsys.stdin.read()\n", **more) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process
        process.communicate(timeout=60)


def seen(world: World, expression: str) -> object:
    return answer(world, f"(exec({NVML!r}, globals()), {expression})[1]")


def test_a_card_has_its_memory_less_the_context(world: World) -> None:
    t4 = card("T4")
    assert answer(world, "memory()") == (t4.usable_bytes - t4.generation.context_bytes, t4.usable_bytes)


def test_more_than_is_free_is_refused_and_exactly_that_is_not(world: World) -> None:
    t4 = card("T4")
    free = (t4.usable_bytes - t4.generation.context_bytes) // (2 * MIB) * 2 * MIB
    assert answer(world, f"malloc({free} + 1)[0]") == OUT_OF_MEMORY
    assert answer(world, f"malloc({free})[0]") == 0


def test_what_is_given_back_can_be_had_again(world: World) -> None:
    code = "[(cuda.cudaFree(malloc(9 << 30)[1]), malloc(9 << 30)[0]) for _ in range(2)]"
    assert answer(world, code) == [(0, 0), (0, OUT_OF_MEMORY)]


def test_nvml_shows_what_each_process_holds_of_each_card(world: World) -> None:
    context = card("T4").generation.context_bytes
    with running(world, "malloc(300 * MIB)") as one, running(world, "malloc(3)") as two:
        found = {one.pid: context + 300 * MIB, two.pid: context + 2 * MIB}
        assert seen(world, "(processes(0), used(0), processes(1), used(1))") == (found, sum(found.values()), {}, 0)


def test_a_second_process_has_what_the_first_one_left(world: World) -> None:
    with running(world, "malloc(14 << 30)"):
        assert answer(world, "malloc(1 << 30)[0]") == OUT_OF_MEMORY
    assert answer(world, "malloc(1 << 30)[0]") == 0


def test_memory_of_a_killed_process_is_free_even_before_it_is_reaped(world: World) -> None:
    with running(world, "malloc(14 << 30)") as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert answer(world, "malloc(14 << 30)[0]") == 0
        assert seen(world, "processes(0)") == {}


FORKS = """
import signal, threading
def use_memory():
    place = ctypes.c_void_p()
    assert cuda.cudaMalloc(ctypes.byref(place), ctypes.c_size_t(MIB)) == 0
    cuda.cudaFree(place)
    assert cuda.cudaHostAlloc(ctypes.byref(place), ctypes.c_size_t(4096), 0) == 0
    cuda.cudaFreeHost(place)
def use_it_without_end():
    while True:
        use_memory()
for _ in range(4):
    threading.Thread(target=use_it_without_end, daemon=True).start()
def fork():
    if (pid := os.fork()) == 0:
        signal.alarm(10)
        use_memory()
        os._exit(0)
    return os.waitpid(pid, 0)[1]
print([fork() for _ in range(200)].count(0), flush=True)
os._exit(0)
"""


def test_a_child_is_forked_while_other_threads_take_memory(world: World) -> None:
    with start(world, FORKS) as process:
        output, _ = process.communicate(timeout=100)
    assert output == "200\n"


def test_a_forked_child_holds_nothing_of_its_parent(world: World) -> None:
    code = """
malloc(14 << 30)
if (pid := os.fork()) == 0:
    os._exit(malloc(1 << 30)[0])
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), malloc(1 << 20)[0])
"""
    with start(world, code) as process:
        assert process.communicate(timeout=60)[0] == f"{OUT_OF_MEMORY} 0\n"


@pytest.mark.parametrize(
    ("visible", "count"),
    [("", 0), ("0", 1), ("1,0", 2), ("0,7", 1), ("-1", 0), ("0,0", 0), (uuid_of(card("L4"), 1), 1)],
)
def test_a_process_sees_the_cards_that_its_environment_names(world: World, visible: str, count: int) -> None:
    assert answer(world, "count()", CUDA_VISIBLE_DEVICES=visible) == count


def test_a_card_named_by_its_uuid_is_that_card(world: World) -> None:
    free = answer(world, "memory()", CUDA_VISIBLE_DEVICES=uuid_of(card("L4"), 1))
    assert free == (card("L4").usable_bytes - card("L4").generation.context_bytes, card("L4").usable_bytes)


def test_uuid_is_of_the_machine_the_card_and_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run remembers its GPU by it, and two machines of a lab may emulate the same cards."""
    here = [uuid_of(card(name), index) for name in ("T4", "L4") for index in range(2)]
    assert here == [uuid_of(card(name), index) for name in ("T4", "L4") for index in range(2)]
    monkeypatch.setattr(platform, "node", lambda: "another-machine")
    assert len({*here, uuid_of(card("T4"), 0)}) == 5


def test_a_card_that_is_lost_fails_every_further_call(world: World) -> None:
    with start(world, "print(malloc(9)[0], flush=True)\ninput()\nprint(malloc(9)[0], cuda.cudaGetLastError())") as run:
        assert run.stdin is not None
        assert run.stdout is not None
        assert run.stdout.readline() == "0\n"
        write(world, "T4,L4", lost=LAUNCH_FAILURE)
        assert run.communicate("\n", timeout=60)[0] == f"{LAUNCH_FAILURE} {LAUNCH_FAILURE}\n"


def test_others_may_take_of_a_card_while_a_program_runs(world: World) -> None:
    code = (
        "def left(): return memory()[0] // MIB, malloc(9 << 30)[0]\nprint(left(), flush=True)\ninput()\nprint(left())"
    )
    t4 = card("T4")
    free_mib = (t4.usable_bytes - t4.generation.context_bytes) // MIB
    with start(world, code) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        assert run.stdout.readline() == f"{(free_mib, 0)}\n"
        write(world, "T4,L4", base_used=5000 * MIB)
        left_mib = free_mib - 5000 - 9 * 1024
        assert run.communicate("\n", timeout=60)[0] == f"{(left_mib, OUT_OF_MEMORY)}\n"


def test_what_cannot_be_emulated_says_its_name(world: World) -> None:
    code = "(cuda.cusolverDnCreate(None), cuda.cudaIpcGetMemHandle(None, None))"
    assert answer(world, code) == (9, 801)
    text = "ctypes.string_at(ctypes.c_void_p(cuda.cudaGetErrorString(801)).value)"
    typed = "setattr(cuda.cudaGetErrorString, 'restype', ctypes.c_void_p)"
    assert (
        answer(world, f"({typed}, cuda.cudaIpcGetMemHandle(), {text})[2]")
        == b"the emulated GPU does not have cudaIpcGetMemHandle"
    )


def test_kernel_of_a_compiler_is_loaded_described_and_launched_as_nothing(world: World) -> None:
    """What `torch.compile` calls for each kernel that Triton has compiled."""
    code = """
module, function, device = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int(7)
assert cuda.cuCtxGetDevice(ctypes.byref(device)) == device.value == 0
assert cuda.cuModuleLoad(ctypes.byref(module), b"/tmp/kernel.cubin") == 0
assert cuda.cuModuleGetFunction(ctypes.byref(function), module, b"kernel") == 0
def attribute(number):
    value = ctypes.c_int(-1)
    assert cuda.cuFuncGetAttribute(ctypes.byref(value), number, function) == 0
    return value.value
place, seen = malloc(64)[1], ctypes.c_void_p()
assert cuda.cuPointerGetAttribute(ctypes.byref(seen), 3, place) == 0
assert cuda.cuLaunchKernelEx(None, function, None, None) == 0
print([attribute(number) for number in (0, 3, 4)], seen.value == place.value)
"""
    with start(world, code) as process:
        assert process.communicate(timeout=60)[0] == "[1024, 0, 32] True\n"


def test_copies_give_zeros_back(world: World) -> None:
    code = """
place = malloc(64)[1]
text = ctypes.create_string_buffer(b"x" * 64, 64)
cuda.cudaMemcpy(place, text, ctypes.c_size_t(64), 1)
cuda.cudaMemcpy(text, place, ctypes.c_size_t(60), 2)
print(text.raw == bytes(60) + b"xxxx")
"""
    with start(world, code) as process:
        assert process.communicate(timeout=60)[0] == "True\n"


def test_nothing_can_be_touched_that_is_on_the_card(world: World) -> None:
    with start(world, "ctypes.string_at(malloc(64)[1], 1)") as process:
        process.communicate(timeout=60)
    assert process.returncode == -11, "as a program that reads a card's memory without a copy ends"


def test_without_a_world_there_is_no_card(world: World, tmp_path: Path) -> None:
    assert answer(world, "count()", GPULAB_EMULATED_WORLD=str(tmp_path / "none")) == 0


def test_machine_without_a_name_belongs_to_one_process_and_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "from emulator.loading import preload\n"
        "preload()\n"
        f"{DRIVER}\n"
        "from emulator.cards import card\n"
        "from emulator.world import become, emulated\n"
        "for name in ('L4', 'T4'):\n"
        "    if (pid := os.fork()) == 0:\n"
        "        become(emulated(card(name), 0))\n"
        "        error, _ = malloc(100 * MIB)\n"
        "        free, total = memory()\n"
        "        print(error, count(), total, (total - free) // MIB, flush=True)\n"
        "        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE} | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    held = [(each.usable_bytes, 100 + each.generation.context_bytes // MIB) for each in (card("L4"), card("T4"))]
    assert done.stdout.splitlines() == [f"0 1 {total} {mib}" for total, mib in held]
    assert list(tmp_path.iterdir()) == []
