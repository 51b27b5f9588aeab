"""What a program finds prepared: generators that start from the seed, threads, the allocator's limit, memory hooks.

Nothing is imported for it. What concerns NumPy and PyTorch happens when the program has imported them.
"""

import random
import sys
from collections.abc import Callable
from typing import Any

from emulator.witness import AfterImport
from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.wire import RunOrder
from experiments.memory.devices import allocator_limit


def prepare(order: RunOrder, run: RunDirectory) -> None:
    """Prepare this process; modules follow as they are imported."""
    random.seed(order.seed)
    _after_import("numpy", "random", lambda numpy: numpy.random.seed(order.seed % 2**32))
    _after_import("torch", "default_generator", lambda torch: _prepare_torch(torch, order, run))


def _after_import(name: str, part: str, then: Callable[[Any], None]) -> None:
    """A file of the program that is called so has no such part, and is left alone."""

    def prepare_it(module: Any) -> None:
        if hasattr(module, part):
            then(module)

    if name in sys.modules:
        prepare_it(sys.modules[name])
    else:
        sys.meta_path.insert(0, AfterImport(name, prepare_it))


def _prepare_torch(torch: Any, order: RunOrder, run: RunDirectory) -> None:
    from experiments.program_host.memory_hooks import MemoryHooks

    torch.set_num_threads(order.threads)
    torch.default_generator.manual_seed(order.seed)
    if order.device == "cuda":
        torch.cuda.manual_seed_all(order.seed)
        if order.gpu_memory_bytes:
            limit_bytes = allocator_limit(order.gpu_memory_bytes, run.gpu_constants)
            # Called once CUDA is used: before that, a program may still fork.
            torch.cuda._lazy_call(lambda: _limit_allocator(torch, limit_bytes))
    MemoryHooks(torch, run).install()


def _limit_allocator(torch: Any, limit_bytes: int) -> None:
    for index in range(torch.cuda.device_count()):
        total_bytes = torch.cuda.get_device_properties(index).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit_bytes / total_bytes), index)
