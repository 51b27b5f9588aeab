"""A memory of any size for tensors: beyond it, asking for more raises what a full GPU would raise."""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

BLOCK_BYTES = 512


class LimitReached(torch.OutOfMemoryError):
    """Raised within `LimitedMemory`, with what was held and asked for."""

    def __init__(self, requested_bytes: int, held_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"Tried to allocate {requested_bytes} bytes; {held_bytes} of {limit_bytes} are in use")
        self.requested_bytes = requested_bytes
        self.allocated_bytes = self.reserved_bytes = held_bytes
        self.limit_bytes = limit_bytes


class LimitedMemory(TorchDispatchMode):
    """Inside, each new storage counts, rounded to blocks; nothing is kept when it ends."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._live: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else (result,):
            if isinstance(part, Tensor) and part.device.type != "meta":
                self._take(part.untyped_storage())
        return result

    def _take(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, -(-storage.nbytes() // BLOCK_BYTES) * BLOCK_BYTES
        if key in self._live or not size:
            return
        if self.held_bytes + size > self.limit_bytes:
            raise LimitReached(storage.nbytes(), self.held_bytes, self.limit_bytes)
        self._live.add(key)
        self.held_bytes += size
        weakref.finalize(storage, self._ended, key, size)

    def _ended(self, key: int, size: int) -> None:
        self._live.discard(key)
        self.held_bytes -= size
