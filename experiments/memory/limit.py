"""A memory of any size for real tensors on the CPU: what a GPU so large would say of the same step."""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from experiments.memory.allocator import Block, CachingAllocator, OutOfMemory


class LimitReached(torch.OutOfMemoryError):
    """Raised within `LimitedMemory`; bytes as the model of the allocator counts them."""

    def __init__(self, found: OutOfMemory, limit_bytes: int) -> None:
        super().__init__(f"Tried to allocate {found.requested_bytes} bytes; {found}")
        self.requested_bytes = found.requested_bytes
        self.allocated_bytes = found.allocated_bytes
        self.reserved_bytes = found.reserved_bytes
        self.limit_bytes = limit_bytes


class _End(weakref.ref[torch.UntypedStorage]):
    """A weak reference that knows the storage it stood for."""

    __slots__ = ("key",)
    key: int


class LimitedMemory(TorchDispatchMode):
    """Inside, each new storage on the CPU takes a block of a caching allocator; `LimitReached` where none is left.

    Kernels' scratch memory, a context and the libraries are not in it.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.limit_bytes = limit_bytes
        self.allocator = CachingAllocator(limit_bytes)
        self._live: dict[int, tuple[_End, Block]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else (result,):
            if isinstance(part, Tensor) and part.device.type == "cpu":
                self._take(part.untyped_storage())
        return result

    def _take(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._live or not storage.nbytes():
            return
        try:
            block = self.allocator.allocate(storage.nbytes())
        except OutOfMemory as found:
            raise LimitReached(found, self.limit_bytes) from None
        end = _End(storage, self._ended)
        end.key = key
        self._live[key] = end, block

    def _ended(self, end: weakref.ref[torch.UntypedStorage]) -> None:
        assert isinstance(end, _End)
        _, block = self._live.pop(end.key)
        self.allocator.free(block)
