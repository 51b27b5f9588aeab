"""Watch every allocation of tensors without data: each storage once, from the operation that makes it to its end."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from experiments.memory.kernels import FAST
from experiments.memory.trace import Category, Trace

aten = torch.ops.aten
MATRIX_PRODUCTS = {
    aten.addmm.default,
    aten.mm.default,
    aten.bmm.default,
    aten.baddbmm.default,
}


CONVOLUTIONS = {aten.convolution.default, aten.convolution_backward.default}


class _StorageEnd(weakref.ref[torch.UntypedStorage]):
    """A weak reference that knows the storage it stood for."""

    __slots__ = ("block", "key")
    block: int
    key: int


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes in `trace` what the operations inside allocate and free.

    `device_types` are the devices whose tensors count. A storage's category follows from the phase that made it, unless
    `name` says better. `workspace_bytes` are taken, once, by the first matrix product.
    """

    def __init__(self, device_types: Iterable[str] = ("meta",), workspace_bytes: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.trace = Trace()
        self.category = Category.TEMPORARY
        self._device_types = frozenset(device_types)
        self._live: dict[int, _StorageEnd] = {}
        self._workspace_bytes = workspace_bytes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self._workspace_bytes and func in MATRIX_PRODUCTS:
            self.trace.allocate(self._workspace_bytes, Category.WORKSPACE)
            self._workspace_bytes = 0
        if func in CONVOLUTIONS:
            self.trace.convolutions.append(len(self.trace.events))
        result = FAST.get(func, func)(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.see(result)
        elif isinstance(result, tuple | list):
            for part in result:
                if isinstance(part, Tensor):
                    self.see(part)
        return result

    def phase(self, name: str, category: Category) -> None:
        """Begin a phase; what it makes belongs to `category`."""
        self.trace.mark(name)
        self.category = category

    def see(self, tensor: Tensor) -> None:
        """Note the tensor's storage unless it is known."""
        if tensor.device.type not in self._device_types:
            return
        storage = tensor.untyped_storage()
        key = storage._cdata
        size = storage.nbytes()
        if key in self._live or not size:
            return
        end = _StorageEnd(storage, self._ended)
        end.key, end.block = key, self.trace.allocate(size, self.category)
        self._live[key] = end

    def name(self, tensors: Iterable[Tensor], category: Category) -> None:
        """Say what these tensors' storages hold."""
        for tensor in tensors:
            end = self._live.get(tensor.untyped_storage()._cdata)
            if end is not None:
                self.trace.categories[end.block] = category

    def rename_ended(self, first: int, old: Category, new: Category) -> None:
        """Of the blocks numbered `first` on, those that ended change from one category to another."""
        alive = {end.block for end in self._live.values()}
        for block in range(first, len(self.trace.categories)):
            if block not in alive and self.trace.categories[block] == old:
                self.trace.categories[block] = new

    def stop(self) -> Trace:
        """The trace; nothing is noted any more, so that what dies with the tracer stays alive in it."""
        self._device_types = frozenset()
        self._live.clear()
        return self.trace

    def _ended(self, end: weakref.ref[torch.UntypedStorage]) -> None:
        assert isinstance(end, _StorageEnd)
        if self._live.pop(end.key, None) is not None:
            self.trace.free(end.block)
