"""The whole lab as lines of text for a width: wide terminals get columns, a phone's get two or three lines a GPU."""

from collections.abc import Iterator
from datetime import datetime

from rich.text import Text

from gpulab.cli.live.bars import FREE, RESERVED, bar, load_style
from gpulab.cli.live.overview import Overview
from gpulab.cli.live.rows import NARROW_CELLS, RunningRows, clipped, spread, waiting_rows
from gpulab.cli.tables import byte_size, duration, printable
from gpulab.schemas import GpuRead, NodeRead
from gpulab.states import NODE_WORDS, NodeState
from gpulab.words import counted

MODEL_CELLS = 16
FIXED_CELLS = 4 + 1 + MODEL_CELLS + 1 + 1 + 6 + 1 + 8 + 1 + 9 + 1 + 1 + 4 + 1 + 6 + 1 + 5
LEGEND_CELLS = 31
WIDE_CELLS = FIXED_CELLS + LEGEND_CELLS + 6
"""From here on a GPU fits in one line."""
NARROWEST_CELLS = 24
NODE_STYLES = {
    NodeState.UP: "bold green",
    NodeState.DRAINING: "bold yellow",
    NodeState.SET_ASIDE: "bold yellow",
    NodeState.DOWN: "bold red",
}
HOT_CELSIUS = 85


def lines(seen: Overview, width: int) -> list[Text]:
    """Everything there is to see, at most `width` cells wide."""
    width = max(width, NARROWEST_CELLS)
    rows = RunningRows(seen, width)
    found: list[Text] = []
    for node in sorted(seen.nodes, key=_rank):
        found += [_node_head(node, seen.at), *_gpus(node, rows, width), *_cpu(node, rows, width), Text()]
    if not seen.nodes:
        found += [
            Text("the lab has no machines; an operator starts one with `gpulab up` or `gpulab worker`", style="yellow"),
            Text(),
        ]
    found += rows.elsewhere()
    found += waiting_rows(seen, width)
    if seen.cut:
        found.append(Text("more jobs than shown; `gpulab status` lists them", style="dim"))
    return [clipped(line, width) for line in found]


def head(seen: Overview, width: int, now: datetime, trouble: str | None) -> Text:
    """Where and who, and how fresh what follows is."""
    counts = f"{len(seen.running)} running, {len(seen.waiting)}{'+' if seen.cut else ''} waiting"
    if trouble is not None:
        counts = f"not answering, seen {duration(now - seen.at)} ago"
    where = f"gpulab {seen.url.partition('://')[2]} {printable(seen.me.name)}"
    if len(where) + len(counts) + 2 > width:
        where = "gpulab"
    style = "reverse" if trouble is None else "bold white on red"
    return clipped(Text(f"{where:<{max(width - len(counts), len(where) + 1)}}{counts}", style=style), width)


def _rank(node: NodeRead) -> tuple[bool, bool, str]:
    """What has GPUs comes first, what is gone last."""
    return node.state is NodeState.DOWN, not node.gpus, node.name


def _node_head(node: NodeRead, now: datetime) -> Text:
    facts = [counted(len(node.gpus), "GPU") if node.gpus else "no GPU"]
    facts += [f"silent for {duration(now - node.heartbeat_at)}"] if node.state is NodeState.DOWN else []
    facts += [printable(node.reason)] if node.reason else []
    name = Text.assemble((printable(node.name), "bold"), "  ", (NODE_WORDS[node.state], NODE_STYLES[node.state]))
    name.append(f"  {', '.join(facts)}", style="dim")
    return name


def _gpus(node: NodeRead, rows: RunningRows, width: int) -> Iterator[Text]:
    if node.gpus and width >= WIDE_CELLS:
        yield _columns(width)
    for gpu in sorted(node.gpus, key=lambda gpu: gpu.index):
        yield from _gpu_wide(gpu, width) if width >= WIDE_CELLS else _gpu_narrow(gpu, width)
        if not gpu.healthy:
            yield Text(f"    ! {printable(gpu.reason or 'unhealthy')}", style="bold red")
        yield from rows.on_gpu(gpu)


def _columns(width: int) -> Text:
    memory, load = _bar_cells(width)
    legend = f"MEMORY █ used {RESERVED} reserved {FREE} free"
    text = (
        f" {'GPU':>3} {'MODEL':<{MODEL_CELLS}} {legend:<{memory}} {'USED':>6} {'RESERVED':>8} {'TOTAL':>9} "
        f"{'LOAD':<{load + 5}} {'POWER':>6} {'TEMP':>5}"
    )
    return Text(text, style="dim")


def _bar_cells(width: int) -> tuple[int, int]:
    """Cells of the memory's and the load's bar; the other columns and the gaps are fixed."""
    free = width - FIXED_CELLS
    memory = max(free * 2 // 3, LEGEND_CELLS)
    return memory, free - memory


def _gpu_wide(gpu: GpuRead, width: int) -> Iterator[Text]:
    memory, load = _bar_cells(width)
    yield Text.assemble(
        (f" {gpu.index:>3}", "bold"),
        f" {_model(gpu)[:MODEL_CELLS]:<{MODEL_CELLS}} ",
        _memory_bar(gpu, memory),
        f" {_gib(_used(gpu)):>6} {_gib(gpu.memory_reserved_bytes):>8} {byte_size(gpu.memory_total_bytes):>9} ",
        _load_bar(gpu, load),
        f" {_percent(gpu):>4} {_power(gpu):>6} ",
        _temperature(gpu),
    )


def _gpu_narrow(gpu: GpuRead, width: int) -> Iterator[Text]:
    """Two lines, three where even those do not fit."""
    numbers = Text.assemble(f"{_power(gpu)} ", _temperature(gpu))
    memory = f" {_gib(_used(gpu))} of {byte_size(gpu.memory_total_bytes)}"
    load = f" {_percent(gpu)}"
    name = Text.assemble((f"{gpu.index:>2} ", "bold"), _model(gpu))
    if width < NARROW_CELLS:
        yield spread(name, numbers, width)
        yield Text.assemble("   mem ", _memory_bar(gpu, max(width - 7 - len(memory), 4)), memory)
        yield Text.assemble("   use ", _load_bar(gpu, max(width - 7 - len(load), 4)), load)
        return
    free = width - 14 - len(memory) - 5
    kept = f"{_gib(gpu.memory_reserved_bytes)} GiB reserved  "
    yield spread(name, Text(kept).append_text(numbers), width)
    bars = (_memory_bar(gpu, free * 2 // 3), memory, "   use ", _load_bar(gpu, free - free * 2 // 3), f"{load:>5}")
    yield Text.assemble("   mem ", *bars)


def _model(gpu: GpuRead) -> str:
    """Without the maker: the end of the name distinguishes models."""
    return printable(gpu.name).removeprefix("NVIDIA ")


def _memory_bar(gpu: GpuRead, cells: int) -> Text:
    total, used = gpu.memory_total_bytes, _used(gpu)
    if not total:
        return bar(cells, None)
    share = None if used is None else used / total
    return bar(cells, share, reserved=gpu.memory_reserved_bytes / total, style=load_style(share))


def _used(gpu: GpuRead) -> int | None:
    used: int | None = gpu.latest.get("device_used_bytes")
    return used


def _gib(count: int | None) -> str:
    return "?" if count is None else f"{count / 2**30:.1f}"


def _load_bar(gpu: GpuRead, cells: int) -> Text:
    load = gpu.latest.get("utilization_percent")
    share = None if load is None else load / 100
    return bar(cells, share, style=load_style(share))


def _percent(gpu: GpuRead) -> str:
    load = gpu.latest.get("utilization_percent")
    return "?" if load is None else f"{load:.0f}%"


def _power(gpu: GpuRead) -> str:
    power = gpu.latest.get("power_watts")
    return "? W" if power is None else f"{power:.0f} W"


def _temperature(gpu: GpuRead) -> Text:
    found = gpu.latest.get("temperature_celsius")
    hot = found is not None and found >= HOT_CELSIUS
    return Text("? °C" if found is None else f"{found:>2.0f} °C", style="bold red" if hot else "")


def _cpu(node: NodeRead, rows: RunningRows, width: int) -> Iterator[Text]:
    """The slots of a node, and what runs in them."""
    share = node.slots_used / node.slots if node.slots else None
    words = f" {node.slots_used} of {node.slots} slots"
    cells = min(max(width - 7 - len(words), 4), 40)
    yield Text.assemble(("   cpu ", "bold"), bar(cells, share, style=load_style(share)), words)
    if node.gpu_reason and not node.gpus:
        yield Text(f"       no GPU: {printable(node.gpu_reason)}", style="dim")
    yield from rows.on_cpu(node)
