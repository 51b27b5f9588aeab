"""What the kernels of a device allocate, where tensors without data would be told otherwise or told slowly.

Tensors on torch's `meta` device run shape functions. Some of those are written in Python and take milliseconds; the
rules here give the same outputs at once. Others belong to no device: dropout keeps a mask of one byte an element on a
GPU and of the element's size on a CPU, and attention takes a fused kernel on both.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from experiments.memory.contract import Device

aten = torch.ops.aten
Rule = Callable[..., Any]


def _like(x: Tensor) -> Tensor:
    """As `empty_like`, at once where the layout is dense."""
    if x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last):
        return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device)
    return torch.empty_like(x)


def _batch_norm(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    _, _, running_mean, _, training, *_ = rest
    dtype = x.dtype if running_mean is None else running_mean.dtype
    saved = torch.empty(x.shape[1] if training else 0, dtype=dtype, device=x.device)
    return _like(x), saved, _like(saved)


def _batch_norm_backward(_grad: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> tuple[Tensor | None, ...]:
    return _wanted(rest[-1], _like(x), weight, weight)


def _layer_norm(x: Tensor, normalized_shape: list[int], *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    kept = len(x.shape) - len(normalized_shape)
    shape = [*x.shape[:kept], *[1] * len(normalized_shape)]
    mean = torch.empty(shape, dtype=torch.float32, device=x.device)
    return torch.empty_like(x, memory_format=torch.contiguous_format), mean, torch.empty_like(mean)


def _layer_norm_backward(_grad: Tensor, x: Tensor, *rest: Any) -> tuple[Tensor | None, ...]:
    _, _, _, weight, bias, mask = rest
    return _wanted(mask, torch.empty_like(x, memory_format=torch.contiguous_format), weight, bias)


def _wanted(mask: list[bool], grad_x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor | None, ...]:
    return (
        grad_x if mask[0] else None,
        _like(weight) if mask[1] else None,
        _like(bias) if mask[2] else None,
    )


def _like_second(_grad: Tensor, x: Tensor, *_: Any, **__: Any) -> Tensor:
    return _like(x)


def _like_first(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return _like(x)


def _copy(operation: Any) -> Rule:
    def rule(x: Tensor, **options: Any) -> Any:
        if x.device.type != "meta" or options.keys() - {"memory_format", "pin_memory"}:
            return operation(x, **options)
        layout = options.get("memory_format") or torch.preserve_format
        return _like(x) if layout == torch.preserve_format else operation(x, **options)

    return rule


def _elementwise(operation: Any) -> Rule:
    """An operation on two tensors of one kind; any other pair, which may broadcast or promote, takes the usual way."""

    def rule(x: Any, y: Any, **options: Any) -> Any:
        if isinstance(x, Tensor) and isinstance(y, Tensor) and _kind(x) == _kind(y) and x.is_meta:
            return _like(x)
        return operation(x, y, **options)

    return rule


def _kind(x: Tensor) -> tuple[Any, ...]:
    return x.device, x.dtype, x.shape, x.stride()


def _addmm(bias: Tensor, x: Tensor, y: Tensor, **options: Any) -> Tensor:
    plain = bias.shape == y.shape[1:] and x.shape[1] == y.shape[0] and bias.dtype == x.dtype == y.dtype
    if bias.device.type != "meta" or not plain:
        result: Tensor = aten.addmm.default(bias, x, y, **options)
        return result
    return torch.empty((x.shape[0], y.shape[1]), dtype=x.dtype, device=x.device)


def _foreach(operation: Any, *, in_place: bool) -> Rule:
    """An operation on a list of tensors; step counters on the CPU have values and are really computed."""

    def rule(first: list[Tensor], *rest: Any, **options: Any) -> Any:
        if first[0].device.type != "meta":
            return operation(first, *rest, **options)
        return None if in_place else [_like(one) for one in first]

    return rule


def _overloads(name: str) -> list[Any]:
    packet = getattr(aten, name)
    return [getattr(packet, overload) for overload in packet.overloads() if not overload.endswith("out")]


_FOREACH_IN_PLACE = (
    "_foreach_add_", "_foreach_mul_", "_foreach_div_", "_foreach_lerp_", "_foreach_addcmul_", "_foreach_addcdiv_",
    "_foreach_sqrt_", "_foreach_zero_",
)  # fmt: skip
_FOREACH_NEW = ("_foreach_sqrt", "_foreach_add", "_foreach_mul", "_foreach_div")
FAST: dict[Any, Rule] = {
    **{one: _foreach(one, in_place=True) for name in _FOREACH_IN_PLACE for one in _overloads(name)},
    **{one: _foreach(one, in_place=False) for name in _FOREACH_NEW for one in _overloads(name)},
    aten.zeros_like.default: _copy(aten.zeros_like.default),
    aten.clone.default: _copy(aten.clone.default),
    aten.add.Tensor: _elementwise(aten.add.Tensor),
    aten.mul.Tensor: _elementwise(aten.mul.Tensor),
    aten.addmm.default: _addmm,
    aten.native_batch_norm.default: _batch_norm,
    aten.native_batch_norm_backward.default: _batch_norm_backward,
    aten.native_layer_norm.default: _layer_norm,
    aten.native_layer_norm_backward.default: _layer_norm_backward,
    aten.threshold_backward.default: _like_second,
    aten.hardtanh_backward.default: _like_second,
    aten.hardswish_backward.default: _like_second,
    aten.hardsigmoid_backward.default: _like_second,
    aten.silu_backward.default: _like_second,
    aten.sigmoid_backward.default: _like_second,
    aten.gelu_backward.default: _like_second,
    aten.gelu.default: _like_first,
    aten.silu.default: _like_first,
}


def dropout(device: Device, x: Tensor, probability: float, training: bool) -> Tensor:
    """As `torch.dropout`, with the mask that the device's kernel keeps."""
    if not training or probability == 0:
        return x
    if device == "cuda" and probability < 1:
        result: Tensor = torch.native_dropout(x, probability, True)[0]
        return result
    return torch.dropout(x, probability, True)


def attention(
    device: Device, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, probability: float, causal: bool
) -> Tensor:
    """Scaled dot-product attention by the fused kernel that torch picks on the device; shapes (B, heads, N, D)."""
    if device == "cpu":
        fused = aten._scaled_dot_product_flash_attention_for_cpu.default
        found = fused(query, key, value, probability, causal, attn_mask=mask)
    elif query.dtype != torch.float32 and mask is None:
        found = aten._scaled_dot_product_flash_attention.default(query, key, value, probability, causal, False)
    else:
        fused = aten._scaled_dot_product_efficient_attention.default
        found = fused(query, key, value, mask, True, probability, causal)
    result: Tensor = found[0]
    return result
