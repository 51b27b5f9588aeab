"""The HTTP interface, call by call, from the API's own OpenAPI document: static pages that send no requests."""

import json
from collections.abc import Iterator
from typing import Any

from api import print_openapi

METHODS = ("get", "post", "put", "patch", "delete")
Document = dict[str, Any]


def reference_pages() -> dict[str, str]:
    """Names and texts: a page a tag, one of all schemas, and a table of all calls."""
    document = json.loads(print_openapi.document())
    tags = {tag["name"]: tag.get("description", "") for tag in document["tags"]}
    calls = list(_calls(document))
    used = {name: text for name, text in tags.items() if any(name in call["tags"] for _, _, call in calls)}
    pages = {f"{tag}.md": _tag_page(tag, text, calls) for tag, text in used.items()}
    return {"index.md": _index(document, used, calls), **pages, "schemas.md": _schemas(document)}


def _calls(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Method, path and operation."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def _index(document: Document, tags: dict[str, str], calls: list[tuple[str, str, Document]]) -> str:
    lines = [
        "# HTTP reference",
        "",
        f"{document['info']['title']} {document['info']['version']}, made from `/openapi.json`.",
        "",
    ]
    lines += ["[The HTTP interface](../api.md) explains how the calls work together.", ""]
    for tag, text in tags.items():
        lines += [f"## [{tag}]({tag}.md)", "", text, "", "| call | does |", "|---|---|"]
        for method, path, call in calls:
            if tag in call["tags"]:
                lines.append(f"| [`{method} {path}`]({tag}.md#{call['operationId']}) | {_sentence(call)} |")
        lines.append("")
    return "\n".join(lines)


def _tag_page(tag: str, text: str, calls: list[tuple[str, str, Document]]) -> str:
    lines = [f"# {tag.capitalize()}", "", text, ""]
    for method, path, call in calls:
        if tag in call["tags"]:
            lines += _call(method, path, call)
    return "\n".join(lines)


def _call(method: str, path: str, call: Document) -> list[str]:
    lines = [f"## `{method} {path}` {{ #{call['operationId']} }}", "", call.get("description", ""), ""]
    parameters = call.get("parameters", [])
    if parameters:
        lines += ["| parameter | in | type | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{one['name']}`{' (required)' if one.get('required') else ''} | {one['in']} | {_type(one['schema'])} | "
            f"{_cell(one.get('description', ''))} |"
            for one in parameters
        ]
        lines.append("")
    for media, body in call.get("requestBody", {}).get("content", {}).items():
        lines += [f"Body, `{media}`: {_type(body.get('schema', {}))}", ""]
    lines += ["| status | body | meaning |", "|---|---|---|"]
    for status, answer in call["responses"].items():
        kinds = [_type(body.get("schema", {})) for body in answer.get("content", {}).values()]
        lines.append(f"| {status} | {', '.join(dict.fromkeys(kinds))} | {_cell(answer.get('description', ''))} |")
    return [*lines, ""]


def _schemas(document: Document) -> str:
    lines = ["# Schemas", "", "What travels in bodies. A client must ignore fields it does not know.", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += [f"## {name} {{ #{name} }}", "", schema.get("description", ""), ""]
        if "enum" in schema:
            lines += ["One of " + ", ".join(f"`{value}`" for value in schema["enum"]), ""]
        if schema.get("properties"):
            required = set(schema.get("required", ()))
            lines += ["| field | type | meaning |", "|---|---|---|"]
            for field, declared in schema["properties"].items():
                mark = " (required)" if field in required else ""
                meaning = _cell(declared.get("description", ""))
                lines.append(f"| `{field}`{mark} | {_type(declared, 'schemas.md')} | {meaning} |")
            lines.append("")
    return "\n".join(lines)


def _type(schema: Document, page: str = "schemas.md") -> str:
    """A type in words, with links to named ones."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}]({page}#{name})"
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(_type(choice, page) for choice in choices)
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), page)}"
    bounds = [f"{word} {schema[key]}" for key, word in BOUNDS.items() if key in schema]
    return " ".join([schema.get("format", kind) if isinstance(kind, str) else "any", *bounds])


BOUNDS = {
    "minimum": "≥",
    "maximum": "≤",
    "exclusiveMinimum": ">",
    "exclusiveMaximum": "<",
    "minLength": "from",
    "maxLength": "to",
}


def _sentence(call: Document) -> str:
    return _cell(str(call.get("description") or call.get("summary") or "")).split(". ")[0].rstrip(".")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
