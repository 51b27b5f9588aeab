"""`gpulab nodes`."""

from typing import TYPE_CHECKING

import typer

from gpulab.cli.lab import Lab, lab_command, print_json

if TYPE_CHECKING:
    from gpulab.schemas import GpuRead, NodeRead

app = typer.Typer()


@lab_command(app)
def nodes(lab: Lab) -> None:
    """Show the machines, their GPUs and what is taken."""
    from gpulab.cli.tables import print_table

    found = lab.client.nodes()
    if lab.as_json:
        print_json(found)
        return
    if not found:
        print("no nodes")
    for node in found:
        print(_describe(node))
        if node.gpus:
            print_table(["  GPU", "MODEL", "RESERVED", "USED", "LOAD", "UUID", "NOTE"], map(_gpu_row, node.gpus))


def _describe(node: "NodeRead") -> str:
    from gpulab.cli.tables import ago

    parts = [
        f"{node.name}  {node.state}" + (f" ({node.reason})" if node.reason else ""),
        f"{node.slots_used} of {node.slots} slots",
        f"no GPU: {node.gpu_reason}" if node.gpu_reason and not node.gpus else f"{len(node.gpus)} GPUs",
        f"seen {ago(node.heartbeat_at)} ago",
    ]
    return ", ".join(parts)


def _gpu_row(gpu: "GpuRead") -> list[str | None]:
    from gpulab.cli.tables import byte_size

    total = byte_size(gpu.memory_total_bytes)
    load = gpu.latest.get("utilization_percent")
    return [
        f"  {gpu.index}",
        gpu.name,
        f"{byte_size(gpu.memory_reserved_bytes)} of {total}",
        byte_size(gpu.latest.get("device_used_bytes")),
        "?" if load is None else f"{load} %",
        gpu.uuid,
        gpu.reason if not gpu.healthy else None,
    ]
