"""What cuDNN's older interface computes: recurrent layers, dropout inside them, CTC and batch norm. Sizes only."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

pytestmark = pytest.mark.gpu
BATCH, INPUT, HIDDEN, LAYERS = 8, 32, 64, 2
PAGE = 512
"""What PyTorch's allocator rounds to."""
Layer = Callable[..., nn.RNNBase]


def recurrent(kind: Layer, **options: float) -> nn.RNNBase:
    return kind(INPUT, HIDDEN, LAYERS, **options).cuda()


def held_for_backward(layer: nn.RNNBase, steps: int) -> int:
    """Bytes that a forward pass keeps besides its outputs."""
    x_TBI = torch.zeros(steps, BATCH, INPUT, device="cuda")
    before = torch.cuda.memory_allocated()
    out, state = layer(x_TBI)
    outputs = [out, *(state if isinstance(state, tuple) else (state,))]
    return torch.cuda.memory_allocated() - before - sum(each.nbytes for each in outputs)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layer_keeps_its_gates_for_the_backward_pass(kind: Layer, gates: int) -> None:
    layer = recurrent(kind)
    short, middle, long = (held_for_backward(layer, steps) for steps in (20, 40, 60))
    assert abs((long - middle) - (middle - short)) <= 2 * PAGE, "every step takes the same"
    assert middle - short >= 20 * BATCH * HIDDEN * LAYERS * gates * 4
    with torch.no_grad():
        assert abs(held_for_backward(layer, 60)) <= 4 * PAGE


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_weights_of_a_recurrent_layer_are_one_block_without_gaps(kind: Layer) -> None:
    layer = recurrent(kind, bidirectional=True)
    weights = list(layer.parameters())
    assert len({each.untyped_storage().data_ptr() for each in weights}) == 1
    assert weights[0].untyped_storage().nbytes() == sum(each.nbytes for each in weights)


@pytest.mark.parametrize("precision", [None, torch.float16])
def test_recurrent_network_trains(precision: torch.dtype | None) -> None:
    layer = recurrent(nn.LSTM, dropout=0.3, bidirectional=True)
    optimizer = torch.optim.Adam(layer.parameters())
    lengths = torch.arange(20, 20 - BATCH, -1)
    packed = nn.utils.rnn.pack_padded_sequence(torch.randn(20, BATCH, INPUT, device="cuda"), lengths)
    for _ in range(2):
        optimizer.zero_grad()
        with torch.autocast("cuda", precision or torch.float16, enabled=precision is not None):
            out, _ = layer(packed)
        out.data.float().sum().backward()
        optimizer.step()
    assert all(each.grad is not None for each in layer.parameters())


def test_dropout_states_are_of_every_thread_of_the_card() -> None:
    states = torch._cudnn_init_dropout_state(0.5, True, 1, dtype=torch.uint8, device="cuda")
    card = torch.cuda.get_device_properties(0)
    assert states.numel() % (card.multi_processor_count * card.max_threads_per_multi_processor) == 0


def test_ctc_loss_of_cudnn_trains() -> None:
    scores = torch.randn(50, 4, 20, device="cuda", requires_grad=True)
    labels = torch.randint(1, 20, (40,), dtype=torch.int32)
    nn.functional.ctc_loss(scores.log_softmax(2), labels, (50,) * 4, (10,) * 4).backward()
    assert scores.grad is not None


def test_batch_norm_of_cudnn_takes_a_workspace_for_channels_last() -> None:
    def peak(layout: torch.memory_format) -> int:
        images = torch.rand(16, 64, 56, 56, device="cuda").contiguous(memory_format=layout)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        norm(images)
        return torch.cuda.max_memory_allocated() - before

    norm = nn.BatchNorm2d(64).cuda()
    assert peak(torch.channels_last) > peak(torch.contiguous_format)
