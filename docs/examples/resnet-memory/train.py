"""What a training step of a residual network needs of a GPU's memory: weights, gradients, optimizer, activations."""

import argparse
import csv
from pathlib import Path

import torch
from model import resnet

from gpulab import run


def bytes_of(tensors: list[torch.Tensor]) -> int:
    """Of all of them."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def main() -> None:
    """Train on noise; write `outputs/memory.csv`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.1)
    options = parser.parse_args()

    torch.manual_seed(run.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = resnet(options.blocks, options.channels).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=0.9)
    images = torch.randn(options.batch, 3, 16, 16, device=device)
    labels = torch.randint(10, (options.batch,), device=device)

    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    for step in range(options.steps):
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
        saved = bytes_of(list(kept.values()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.metrics(step, loss=loss)
        run.progress(step + 1, options.steps)

    weights = list(model.parameters())
    states = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    parts = {
        "weights_bytes": bytes_of(weights),
        "gradients_bytes": bytes_of([weight.grad for weight in weights if weight.grad is not None]),
        "optimizer_bytes": bytes_of(states),
        "saved_for_backward_bytes": saved,
    }
    if device.type == "cuda":
        parts["peak_bytes"] = torch.cuda.max_memory_allocated()
    Path("outputs").mkdir(exist_ok=True)
    with Path("outputs/memory.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("part", "bytes"), *parts.items()])
    run.result({"loss": loss.item(), **parts})


if __name__ == "__main__":
    main()
