"""Memory of an idle lab: proportional set size, so that pages shared between processes count once."""

import time
from collections import defaultdict
from pathlib import Path

import psutil

from benchmarks.figures import Figure, median_figure
from benchmarks.labs import running_lab
from tests.lab import Lab


def measure(*, quick: bool) -> list[Figure]:
    readings: list[dict[str, int]] = []
    for _ in range(1 if quick else 3):
        with running_lab() as lab:
            # The job that warmed the lab has left; the database's processes let go of what they needed for it.
            time.sleep(1 if quick else 8)
            readings.append(by_part(lab))
    totals = [sum(reading.values()) / 1e9 for reading in readings]
    beside = {f"{part}_gb": round(value / 1e9, 3) for part, value in sorted(readings[-1].items())}
    what = "idle memory (PSS) of everything, zygote and Postgres included"
    return [median_figure("memory", what, "GB", "lower", totals, bar=1.2, aim=0.9, beside=beside)]


def by_part(lab: Lab) -> dict[str, int]:
    """Bytes of each process with its children; the worker's children, the zygote among them, apart."""
    found: defaultdict[str, int] = defaultdict(int)
    roots = {name: process.pid for name, process in lab.processes.items()}
    assert lab.postgres.process is not None
    assert lab.redis.process is not None
    for name, pid in {**roots, "postgres": lab.postgres.process.pid, "redis": lab.redis.process.pid}.items():
        root = psutil.Process(pid)
        found[name] += pss_bytes(pid)
        for child in root.children(recursive=True):
            found["zygote" if name == "worker" else name] += pss_bytes(child.pid)
    return dict(found)


def pss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"the kernel gives no PSS of process {pid}")
