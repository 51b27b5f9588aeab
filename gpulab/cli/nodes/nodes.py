"""`gpulab nodes`."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.files import private_file
from gpulab.cli.session import Session, print_json, session_command, with_session
from gpulab.states import NODE_WORDS, NodeState
from gpulab.words import counted

if TYPE_CHECKING:
    from gpulab.schemas import GpuRead, NodeRead

app = typer.Typer(help="The machines: their GPUs, what is reserved, and their state.")
LOOK_SECONDS = 2.0
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="Name of a machine.")]


def nodes(session: Session, context: typer.Context) -> None:
    """List the machines: their GPUs, what is reserved, and their state."""
    if context.invoked_subcommand is not None:
        return
    from gpulab.cli.tables import print_table

    found = session.client.nodes()
    if session.as_json:
        print_json(found)
        return
    if not found:
        print("The lab has no machines.")
    for node in found:
        print(_describe(node))
        for line in _skipped(node):
            print(line)
        if node.gpus:
            print_table(["  GPU", "MODEL", "RESERVED", "USED", "LOAD", "UUID", "NOTE"], map(_gpu_row, node.gpus))
        for line in _advice(node):
            print(line)


app.callback(invoke_without_command=True)(with_session(nodes))


@session_command(app)
def show(session: Session, name: NodeName) -> None:
    """Show one machine: versions, data sets, clock, faults and history."""
    from gpulab.cli.tables import moment, print_table

    found = next((node for node in session.client.nodes() if node.name == name), None)
    if found is None:
        raise BadInput(f"no machine has the name {name!r}; `gpulab nodes` lists them")
    events = session.client.node_events(name)
    if session.as_json:
        print_json(
            {"node": found.model_dump(mode="json"), "events": [event.model_dump(mode="json") for event in events]}
        )
        return
    print(_describe(found))
    if found.fault is not None:
        back = "until an admin undrains it" if found.fault_until is None else f"until {moment(found.fault_until)}"
        print(f"  set aside: {found.fault}, {back}")
    print("  versions   " + (", ".join(f"{name} {value}" for name, value in sorted(found.versions.items())) or "?"))
    print("  data sets  " + (", ".join(found.datasets) or "none"))
    for line in _skipped(found):
        print(line)
    off = found.clock_skew_seconds
    print("  clock      " + ("?" if off is None else f"{off:+.3f} s off the lab's"))
    rows = [[f"  {moment(event.at)}", event.type, event.actor, event.message or None] for event in events]
    if rows:
        print_table(["  TIME", "EVENT", "BY", "MESSAGE"], rows)


@session_command(app)
def drain(
    session: Session,
    name: NodeName,
    reason: Annotated[str | None, typer.Option(help="The reason, shown to users.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until nothing runs there.")] = False,
) -> None:
    """Start no more jobs on a machine. Running jobs continue. For admins."""
    node = session.client.drain_node(name, reason)
    while wait and _is_busy(node):
        time.sleep(LOOK_SECONDS)
        node = next(found for found in session.client.nodes() if found.name == name)
    _show_change(session, node)


@session_command(app)
def undrain(session: Session, name: NodeName) -> None:
    """Let a machine take jobs again as it is, even if the lab had set it aside. For admins."""
    _show_change(session, session.client.undrain_node(name))


@session_command(app)
def remove(session: Session, name: NodeName) -> None:
    """Take a machine that is down off the list, and revoke its tokens. Its runs stay. For admins."""
    session.client.remove_node(name)
    if session.as_json:
        print_json({"removed": name})
    else:
        print(f"{name} is removed. If its worker starts again and has a valid token, it is on the list again.")


@session_command(app)
def token(
    session: Session,
    name: NodeName,
    to: Annotated[Path | None, typer.Option(help="Write the token to this new file, which only you can read.")] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke all tokens of the machine instead.")] = False,
) -> None:
    """Create the token with which a machine joins (GPULAB_NODE_TOKEN). It is shown once. For admins."""
    if revoke:
        done = session.client.revoke_node_tokens(name)
        print_json(done) if session.as_json else print(f"{counted(done.revoked, 'token')} of {name} revoked")
        return
    with nullcontext() if to is None else private_file(to) as file:
        made = session.client.make_node_token(name)
        if file is not None:
            file.write(made.token + "\n")
    if session.as_json:
        print_json(made)
    elif to is None:
        print(made.token)


def _is_busy(node: "NodeRead") -> bool:
    return node.slots_used > 0 or any(gpu.memory_reserved_bytes > 0 for gpu in node.gpus)


def _show_change(session: Session, node: "NodeRead") -> None:
    print_json(node) if session.as_json else print(_describe(node))


def _describe(node: "NodeRead") -> str:
    from gpulab.cli.tables import ago

    parts = [
        f"{node.name}  {NODE_WORDS[node.state]}" + (f" ({node.reason})" if node.reason else ""),
        f"{node.slots_used} of {node.slots} slots",
        f"no GPU: {node.gpu_reason}" if node.gpu_reason and not node.gpus else counted(len(node.gpus), "GPU"),
        f"seen {ago(node.heartbeat_at)} ago",
    ]
    return ", ".join(parts)


def _skipped(node: "NodeRead") -> list[str]:
    skipped = [f"  data set {name} skipped: {reason}" for name, reason in sorted(node.skipped_datasets.items())]
    return [*skipped, *(f"  runs no {name}: {reason}" for name, reason in sorted(node.refused_experiments.items()))]


def _advice(node: "NodeRead") -> list[str]:
    """What an admin can do about a machine on which not everything works."""
    if node.state is NodeState.SET_ASIDE:
        return [f"  Once it is repaired: gpulab nodes undrain {node.name}"]
    if any(not gpu.healthy for gpu in node.gpus) and node.state is not NodeState.DOWN:
        return [f"  To do without the GPUs that do not work: gpulab nodes undrain {node.name}"]
    return []


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
