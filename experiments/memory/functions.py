"""What a device makes of torch's functions before they reach its kernels: attention, dropout, mixed precision.

Tensors without data belong to no device that autocast knows, so its casts are made here, from the lists in torch's page
"Automatic Mixed Precision": matrix products and convolutions run in the lower precision, some functions in float32, and
a parameter is cast once in a forward pass.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from experiments.memory import kernels
from experiments.memory.contract import Device

_LOWER = {
    torch.conv1d, torch.conv2d, torch.conv3d, torch.conv_transpose2d, torch.addmm, torch.mm, torch.bmm, torch.baddbmm,
    torch.matmul, torch.einsum, functional.linear, functional.scaled_dot_product_attention, Tensor.matmul,
    Tensor.mm, Tensor.bmm, Tensor.__matmul__, Tensor.__rmatmul__,
}  # fmt: skip
_FLOAT32_CUDA = {
    functional.cross_entropy, torch._C._nn.cross_entropy_loss, torch.layer_norm, torch.group_norm, torch.softmax,
    torch.log_softmax, Tensor.softmax, Tensor.log_softmax, torch.sum, Tensor.sum, torch.norm, torch.exp, torch.pow,
    Tensor.pow, Tensor.exp, Tensor.__pow__,
}  # fmt: skip
_FLOAT32_CPU = {torch._C._nn.nll_loss_nd, torch._C._nn.cross_entropy_loss}
_PYTHON_CHECKS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")
_patching = Lock()


class DeviceFunctions(TorchFunctionMode):
    """Answers as `device` would. One object a training run; `autocast` opens a forward pass in a lower precision."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self._device = device
        self._dtype: torch.dtype | None = None
        self._casts: dict[int, tuple[Tensor, Tensor]] = {}
        self._float32 = _FLOAT32_CUDA if device == "cuda" else _FLOAT32_CPU

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._dtype is not None:
            if func in _LOWER:
                args, kwargs = self._cast(args, kwargs, self._lower)
            elif func in self._float32:
                args, kwargs = self._cast(args, kwargs, self._raise)
        if func is torch.dropout:
            return kernels.dropout(self._device, *args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        return func(*args, **kwargs)

    @contextmanager
    def autocast(self, dtype: torch.dtype | None) -> Iterator[None]:
        """Run what is inside in mixed precision; None for none."""
        self._dtype = dtype
        try:
            yield
        finally:
            self._dtype = None
            self._casts.clear()

    @contextmanager
    def again(self, dtype: torch.dtype | None) -> Iterator[None]:
        """The same within a backward pass, which torch runs with this mode put aside."""
        with self, self.autocast(dtype):
            yield

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
    ) -> Tensor:
        return kernels.attention(self._device, query, key, value, attn_mask, dropout_p, is_causal)

    @staticmethod
    def _cast(
        args: tuple[Any, ...], kwargs: dict[str, Any], how: Callable[[Any], Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return tuple(map(how, args)), {name: how(value) for name, value in kwargs.items()}

    def _lower(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        if not (value.is_leaf and value.requires_grad):
            return value.to(self._dtype)
        # The original is kept beside its cast, so that its id stays its own.
        if id(value) not in self._casts:
            self._casts[id(value)] = value, value.to(self._dtype)
        return self._casts[id(value)][1]

    def _raise(self, value: Any) -> Any:
        if isinstance(value, Tensor) and value.dtype == self._dtype:
            return value.float()
        return value


@contextmanager
def as_on(device: Device) -> Iterator[DeviceFunctions]:
    """Inside, torch's functions behave as on `device`. One thread of the process at a time.

    A function written in Python hides the ones it calls from a mode: it hands itself over as a whole. Telling it that
    there is no mode makes it call them, and they are seen.
    """
    functions = DeviceFunctions(device)
    with _patching:
        patches = [patch.object(functional, name, lambda *_: False) for name in _PYTHON_CHECKS]
        for one in patches:
            one.start()
        try:
            with functions:
                yield functions
        finally:
            for one in patches:
                one.stop()
