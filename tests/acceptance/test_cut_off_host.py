"""Worker hosts on networks of their own: one is cut off in mid-run, the job goes on elsewhere, the host rejoins.

One host finds the servers by their addresses. The other one joined by the line of a shared lab.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from server.child_process import spawn, stop_process
from server.embedded import EmbeddedPostgres, redis_binary
from server.joining.sharing import prepared
from tests.lab import ROOT, Lab, free_port, processes_below, serve_with_password, wait_until, with_forked_zygotes

STEPS = 8
PASSWORD = "of-the-test-alone"
PLAIN, JOINED = "node-a", "node-b"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Host:
    """A network namespace with one cable to this machine."""

    def __init__(self, letter: str, number: int) -> None:
        self.letter = letter
        self.namespace = f"gplab{os.getpid()}{letter}"
        self.cable = f"gp{os.getpid() % 100000}{letter}"
        self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"

    def plug_in(self) -> None:
        ip("netns", "add", self.namespace)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", "lan", "netns", self.namespace)
        ip("addr", "add", f"{self.here}/30", "dev", self.cable)
        ip("-n", self.namespace, "addr", "add", f"{self.there}/30", "dev", "lan")
        ip("-n", self.namespace, "link", "set", "lo", "up")
        ip("-n", self.namespace, "link", "set", "lan", "up")
        self.mend()

    def cut(self) -> None:
        ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        ip("link", "set", self.cable, "up")

    def remove(self) -> None:
        subprocess.run(["ip", "link", "del", self.cable], capture_output=True)
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True)


class ScatteredLab(Lab):
    """The central services here, a worker on each host; PostgreSQL, Redis and the gate listen on the cables."""

    def __init__(self, folder: Path, hosts: list[Host]) -> None:
        super().__init__(folder, settings={"GPULAB_LEASE_SECONDS": "4", "GPULAB_SLOTS": "1"})
        self.hosts = {f"node-{host.letter}": host for host in hosts}
        self.ports = free_port(), free_port()
        self.gate_port = free_port()
        self.redis_socket = folder / "redis.sock"
        addresses = ",".join(["127.0.0.1", *(host.here for host in hosts)])
        listening = {"listen_addresses": addresses, "port": str(self.ports[0])}
        self.postgres = EmbeddedPostgres(folder / "postgres", durable=False, settings=listening)
        with (folder / "redis.log").open("ab") as log:
            self.redis_process = spawn(
                [redis_binary(), "--port", str(self.ports[1]), "--bind", *addresses.split(","), "--save", "",
                 "--protected-mode", "no", "--unixsocket", self.redis_socket],
                log=log, death_signal=signal.SIGKILL,
            )  # fmt: skip

    def environment_at(self, address: str) -> dict[str, str]:
        database, redis = self.ports
        return {
            "DATABASE_URL": f"postgresql://gpulab:{quote(PASSWORD)}@{address}:{database}/gpulab",
            "REDIS_URL": f"redis://{address}:{redis}/0",
        }

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.environment_at("127.0.0.1")}

    def start_all(self) -> None:
        self.postgres.start()
        serve_with_password(self.postgres, PASSWORD, "127.0.0.1/32", "10.213.0.0/16")
        self.call("migrations")
        self.call("api.admin", "--token-file", str(self.folder / "admin.token"))
        self.spawn("scheduler")
        self.spawn("api")
        self.spawn_at(PLAIN, self.hosts[PLAIN])
        self.open_gate(self.hosts[JOINED])
        self.join_from(self.hosts[JOINED])
        self.wait_ready()
        wait_until(lambda: self.states() == dict.fromkeys(self.hosts, "up"), what="both nodes", timeout_seconds=90)

    def spawn_at(self, name: str, host: Host) -> None:
        own = {"GPULAB_NODE": name, "GPULAB_RUNS_FOLDER": str(self.runs_of(name))}
        env = with_forked_zygotes({**self.environment, **self.environment_at(host.here), **own})
        self.spawn_in(host, name, ["-m", "worker"], env)

    def open_gate(self, host: Host) -> None:
        """As `gpulab up --share` does."""
        prepared(self.folder / "share", host.here, self.gate_port)
        inside = {"DATABASE_URL": self.postgres.url, "REDIS_URL": f"unix://{self.redis_socket}"}
        where = ["--folder", str(self.folder / "share"), "--host", host.here, "--port", str(self.gate_port)]
        with self.log("gate").open("ab") as log:
            self.processes["gate"] = spawn(
                [sys.executable, "-m", "gate", *where],
                log=log, death_signal=signal.SIGKILL, cwd=ROOT, env={**self.environment, **inside},
            )  # fmt: skip
        wait_until(lambda: "gate.open" in self.log("gate").read_text(), what="the gate")

    def join_from(self, host: Host) -> None:
        """By the line alone: the machine knows nothing else of the lab."""
        done = subprocess.run(
            [sys.executable, "-m", "gpulab", "share", "--data", self.folder], capture_output=True, text=True, check=True
        )
        (self.folder / "line").write_text(done.stdout)
        given = {"PYTHONPATH", "GPULAB_SLOTS", "GPULAB_PROGRAM_SPARE", "GPULAB_STOP_GRACE_SECONDS"}
        env = {name: value for name, value in self.environment.items() if name in given or name in os.environ}
        for name in ("DATABASE_URL", "REDIS_URL", "GPULAB_ARTIFACTS_URL"):
            env.pop(name, None)
        where = ["--data", str(self.folder / "joined"), "--join-file", str(self.folder / "line")]
        command = ["-m", "gpulab", "worker", "--name", JOINED, *where]
        self.spawn_in(host, JOINED, command, with_forked_zygotes(env))

    def spawn_in(self, host: Host, name: str, arguments: list[str], env: dict[str, str]) -> None:
        with self.log(name).open("ab") as log:
            self.processes[name] = spawn(
                ["ip", "netns", "exec", host.namespace, sys.executable, *arguments],
                log=log, death_signal=signal.SIGKILL, cwd=ROOT, env=env,
            )  # fmt: skip

    def runs_of(self, name: str) -> Path:
        return self.folder / ("joined/runs" if name == JOINED else f"runs-{name}")

    def said_by(self, name: str) -> str:
        """The log of its worker."""
        return (self.folder / "joined/logs/worker.log" if name == JOINED else self.log(name)).read_text()

    def only_on(self, name: str) -> None:
        """Have new jobs start on that host alone."""
        for host in self.hosts:
            self.client.post(f"/v1/nodes/{host}/{'undrain' if host == name else 'drain'}").raise_for_status()

    def everywhere(self) -> None:
        for host in self.hosts:
            self.client.post(f"/v1/nodes/{host}/undrain").raise_for_status()

    def states(self) -> dict[str, str]:
        return {node["name"]: node["state"] for node in self.client.get("/v1/nodes").json()["items"]}

    def stop(self) -> None:
        super().stop()
        stop_process(self.redis_process, (signal.SIGTERM, 5.0))


@pytest.fixture
def scattered(tmp_path: Path) -> Iterator[ScatteredLab]:
    hosts = [Host("a", 1), Host("b", 2)]
    lab = None
    try:
        try:
            for host in hosts:
                host.plug_in()
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            why = getattr(error, "stderr", "") or str(error)
            pytest.skip(f"network namespaces are not allowed here: {why.strip()}")
        lab = ScatteredLab(tmp_path, hosts)
        lab.start_all()
        yield lab
    finally:
        for host in hosts:
            if host.namespace in subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout:
                host.mend()
        if lab is not None:
            lab.stop()
        for host in hosts:
            host.remove()


def test_cut_off_host_loses_its_job_to_another_and_rejoins(scattered: ScatteredLab, tmp_path: Path) -> None:
    lab, gate = scattered, tmp_path / "gate"
    lab.only_on(JOINED)
    job_id = lab.submit("probe", {"steps": STEPS, "gate": str(gate), "checkpoint_every": 2})

    def steps() -> list[int]:
        series = lab.client.get(f"/v1/jobs/{job_id}/metrics", params={"names": "step"}).json()["series"]
        return series[0]["steps"] if series else []

    gate.write_text("5")
    # Both hosts load torch meanwhile. A slow machine may be so busy with it that a lease of four seconds runs out.
    wait_until(lambda: steps()[-1:] == [5], what="five steps over HTTP", timeout_seconds=120)
    before = lab.job(job_id)
    first: str = before["node"]
    attempt: int = before["attempt"]
    (other,) = lab.hosts.keys() - {first}
    lab.everywhere()
    lab.hosts[first].cut()
    second = wait_until(
        lambda: found if (found := lab.job(job_id))["attempt"] > attempt and found["state"] == "running" else None,
        what="the next attempt",
    )
    assert second is not None
    assert second["node"] == other
    assert lab.states()[first] == "down"

    # Both attempts go on: what the cut-off one writes from here on is late.
    gate.write_text(str(STEPS))
    done = lab.wait_for(job_id, "succeeded")
    assert done["result"]["resumed_from"] == 4
    late = lab.runs_of(first) / f"{job_id}-{attempt}" / "records.ndjson"
    wait_until(
        lambda: f'"step {STEPS}"' in late.read_text(), what="late writes in the directory of the cut-off attempt"
    )

    lab.hosts[first].mend()
    wait_until(lambda: lab.states()[first] == "up", what="the host is back", timeout_seconds=60)
    wait_until(lambda: "lease.gone" in lab.said_by(first), what="its late writes were refused", timeout_seconds=60)
    wait_until(lambda: not list(processes_below(lab.runs_of(first))), what="its attempt has ended")
    assert lab.job(job_id)["result"] == done["result"]
    assert steps() == list(range(1, STEPS + 1))
    events: list[Any] = lab.client.get(f"/v1/jobs/{job_id}/events").json()["items"]
    kinds = [event["type"] for event in events]
    assert (kinds.count("job.lost"), kinds.count("job.succeeded")) == (attempt, 1)

    lab.only_on(first)
    again = lab.submit("probe", {"steps": 1})
    assert lab.wait_for(again, "succeeded")["node"] == first, "it takes jobs again"
    _cut_the_other_way(lab, other, first, tmp_path / "gate2")


def _cut_the_other_way(lab: ScatteredLab, cut: str, stays: str, gate: Path) -> None:
    lab.only_on(cut)
    job_id = lab.submit("probe", {"steps": 2, "gate": str(gate)})
    attempt = lab.wait_for(job_id, "running")["attempt"]
    lab.everywhere()
    lab.hosts[cut].cut()
    wait_until(
        lambda: lab.job(job_id)["attempt"] > attempt and lab.job(job_id)["node"] == stays, what="the next attempt"
    )
    gate.write_text("2")
    lab.wait_for(job_id, "succeeded")
    lab.hosts[cut].mend()
    wait_until(lambda: lab.states()[cut] == "up", what="that host is back, too", timeout_seconds=60)
