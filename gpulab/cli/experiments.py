"""`gpulab experiments`."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulab.cli.session import Session, print_json, session_command

if TYPE_CHECKING:
    from gpulab.schemas import ExperimentDetail

app = typer.Typer()

BOUNDS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {} long",
    "maxItems": "at most {} long",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "like {}",
}


@session_command(app)
def experiments(
    session: Session,
    slug: Annotated[str | None, typer.Argument(help="Show this experiment and the fields of its spec.")] = None,
) -> None:
    """List the experiments, or show one."""
    from gpulab.cli.tables import print_table

    if slug is not None:
        _show_one(session, session.client.experiment(slug))
        return
    found = session.client.experiments()
    if session.as_json:
        print_json(found)
    else:
        print_table(["EXPERIMENT", "GPU", "TITLE"], ([entry.slug, entry.gpu, entry.title] for entry in found))


def _show_one(session: Session, found: "ExperimentDetail") -> None:
    from gpulab.cli.tables import duration, print_table

    if session.as_json:
        print_json(found)
        return
    limit = duration(timedelta(seconds=found.default_time_limit_seconds))
    print(f"{found.slug}: {found.title}\n{found.summary}")
    print(f"GPU: {found.gpu}; default time limit: {limit}\n")
    for name, kind, default, bounds, meaning in field_rows(found.spec_schema):
        print(f"{name}  {', '.join(filter(None, (kind, default, bounds)))}")
        if meaning:
            print(f"    {meaning}")
    if found.metrics:
        print()
        print_table(
            ["METRIC", "UNIT", "BETTER", "MEANING"],
            ([metric.name, metric.unit, metric.direction, metric.description] for metric in found.metrics),
        )


def field_rows(schema: dict[str, Any], prefix: str = "", root: dict[str, Any] | None = None) -> Iterator[list[str]]:
    """One row a field of a JSON Schema: name, type, default, bounds, sentence; fields of objects follow with a dot."""
    from gpulab.cli.tables import value_text

    root = root or schema
    required = set(schema.get("required", ()))
    for name, declared in schema.get("properties", {}).items():
        field = _resolved(declared, root)
        default = f"default {value_text(declared['default'])}" if "default" in declared else ""
        default = "required" if name in required else default
        meaning = declared.get("description") or field.get("description") or ""
        yield [prefix + name, _type(field, root), default, _bounds(field, root), " ".join(meaning.split())]
        if "properties" in field:
            yield from field_rows(field, f"{prefix}{name}.", root)


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """The schema that a local `$ref` points at."""
    reference = schema.get("$ref", "")
    found: dict[str, Any] = root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), schema)
    return found


def _type(schema: dict[str, Any], root: dict[str, Any]) -> str:
    if "enum" in schema or "const" in schema:
        return "one of"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(_resolved(choice, root), root) for choice in choices)
    kind = schema.get("type", "any")
    return f"list of {_type(_resolved(schema.get('items', {}), root), root)}" if kind == "array" else str(kind)


def _bounds(schema: dict[str, Any], root: dict[str, Any]) -> str:
    from gpulab.cli.tables import value_text

    allowed = schema.get("enum", [schema["const"]] if "const" in schema else [])
    found = [", ".join(map(str, allowed))] if allowed else []
    found += [wording.format(value_text(schema[bound])) for bound, wording in BOUNDS.items() if bound in schema]
    choices = (_bounds(_resolved(choice, root), root) for choice in schema.get("anyOf") or schema.get("oneOf") or ())
    items = _bounds(_resolved(schema.get("items", {}), root), root) if "items" in schema else ""
    return ", ".join([*found, *filter(None, choices), *([f"each {items}"] if items else [])])
