"""`gpulab submit`."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.lab import Lab, lab_command, print_json
from gpulab.states import STATE_WORDS

if TYPE_CHECKING:
    from gpulab.schemas import EstimateRead

app = typer.Typer()

SPEC_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@lab_command(app)
def submit(
    lab: Lab,
    experiment: Annotated[
        str, typer.Argument(metavar="EXPERIMENT|SPEC.yaml", help="An experiment's slug, or a file that names one.")
    ],
    spec: Annotated[str | None, typer.Option(help="The spec: a JSON object, or a YAML or JSON file.")] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("-p", "--param", metavar="KEY=VALUE", help="One field of the spec; repeatable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all randomness.", show_default="0")] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A label to filter by; repeatable.")] = None,
    priority: Annotated[str | None, typer.Option(help="high, normal or low.", show_default="normal")] = None,
    time_limit: Annotated[str | None, typer.Option(help="Longest run: seconds, or 90s, 30m, 2h.")] = None,
    gpus: Annotated[int | None, typer.Option(help="How many GPUs of one machine; 0 for the CPU.")] = None,
    exclusive: Annotated[bool | None, typer.Option(help="Take whole GPUs.", show_default=False)] = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key and content give the same job.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Watch it to its end; exit 1 unless it succeeds.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Validate only; queue nothing.")] = False,
) -> None:
    """Queue one run of an experiment."""
    order = read_order(experiment, spec, parameters or [])
    chosen = {
        "seed": seed,
        "name": name,
        "tags": tags or None,
        "priority": priority,
        "time_limit_seconds": None if time_limit is None else seconds(time_limit),
        "gpus": gpus,
        "exclusive": exclusive,
    }
    order |= {option: value for option, value in chosen.items() if value is not None}
    if dry_run:
        _show_dry_run(lab, order)
        return
    job = lab.client.submit(**order, idempotency_key=key)
    if wait:
        from gpulab.cli.watch import follow_to_end

        follow_to_end(lab, job, each_change=False)
    elif lab.as_json:
        print_json(job.data)
    else:
        print(f"{job.id}  {job.experiment} {STATE_WORDS[job.state]}")


def read_order(target: str, spec: str | None, parameters: list[str]) -> dict[str, Any]:
    """The submission that a slug or a file, a spec and `-p` options describe. Raises BadInput."""
    order: dict[str, Any] = {"experiment": target, "spec": {}}
    if Path(target).suffix.lower() in SPEC_SUFFIXES:
        order |= _read_order_file(Path(target))
    if spec is not None:
        order["spec"] = _read_spec(spec)
    for parameter in parameters:
        key, value = read_parameter(parameter)
        _put(order["spec"], key.split("."), value)
    return order


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML or JSON file that holds a mapping. Raises BadInput."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path} must hold a mapping, not {type(content).__name__}")
    return content


def read_parameter(text: str) -> tuple[str, Any]:
    """`key=value`; the value is JSON where it reads as JSON, else text. Dots in the key go into objects."""
    key, separator, value = text.partition("=")
    if not (separator and all(key.split("."))):
        raise BadInput(f"-p {text!r} must look like key=value")
    try:
        return key, json.loads(value, parse_constant=str)
    except ValueError:
        return key, value


def seconds(text: str) -> int:
    """`90`, `90s`, `30m`, `2h` or `1d` in seconds. Raises BadInput."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if match is None:
        raise BadInput(f"--time-limit {text!r} must look like 90, 90s, 30m, 2h or 1d")
    return int(match[1]) * SECONDS[match[2]]


def _read_order_file(path: Path) -> dict[str, Any]:
    from gpulab.schemas import JobCreate

    order = read_mapping(path)
    if "experiment" not in order:
        raise BadInput(f"{path} must name its experiment: `experiment: SLUG`")
    if unknown := order.keys() - JobCreate.model_fields.keys():
        raise BadInput(f"{path}: unknown key {min(map(str, unknown))!r}; known: {', '.join(JobCreate.model_fields)}")
    order["spec"] = order.get("spec") or {}
    if not isinstance(order["spec"], dict):
        raise BadInput(f"{path}: spec must be a mapping, not {type(order['spec']).__name__}")
    return order


def _read_spec(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return read_mapping(Path(text))
    try:
        spec: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise BadInput(f"--spec is not a JSON object: {error}") from None
    return spec


def _put(spec: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        spec = spec.setdefault(part, {})
        if not isinstance(spec, dict):
            raise BadInput(f"-p {'.'.join(path)}: {part} is not an object")
    spec[path[-1]] = value


def _show_dry_run(lab: Lab, order: dict[str, Any]) -> None:
    from gpulab.cli.tables import print_facts

    found = lab.client.dry_run(**order)
    if lab.as_json:
        print_json(found)
        return
    print_facts(
        [
            ("experiment", found.experiment),
            *((f"spec.{field}", json.dumps(value)) for field, value in found.spec.items()),
            ("time limit", f"{found.time_limit_seconds} s"),
            ("gpus", "decided by the lab" if found.gpus is None else found.gpus),
            ("exclusive", found.exclusive),
            ("datasets", ", ".join(found.datasets)),
            ("GPU memory", _predicted(found.estimate)),
        ]
    )


def _predicted(estimate: "EstimateRead | None") -> str | None:
    from gpulab.cli.tables import byte_size

    if estimate is None:
        return None
    if estimate.peak_device_bytes is None:
        return f"{estimate.state.replace('_', ' ')}: {estimate.reason or 'ask `gpulab estimate`'}"
    peak = estimate.peak_device_bytes
    return f"{byte_size(peak.likely_bytes)} predicted ({byte_size(peak.low_bytes)} to {byte_size(peak.high_bytes)})"
