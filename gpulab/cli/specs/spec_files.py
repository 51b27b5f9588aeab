"""YAML and JSON files of specs: what they hold, at which line, and errors that name field and line.

YAML 1.1 as PyYAML reads it, without its traps: `1e-3` is a number, `0o17` is an integer, keys are text. What could be
read in two ways (`017`), is not JSON (a date, `.nan`) or appears twice is refused.
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from gpulab.cli.failures import BadInput
from gpulab.cli.specs.submission import STANDARD_INPUT

if TYPE_CHECKING:
    from pydantic import BaseModel

MAX_FILE_BYTES = 2**20
MAX_VALUES = 100_000
MAX_DEPTH = 32
MAX_ISSUES = 5
MAX_DIGITS = 400
MAX_SHOWN = 80
PREFIX = "tag:yaml.org,2002:"
KNOWN_TAGS = frozenset(f"{PREFIX}{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map", "timestamp"))
MERGE = f"{PREFIX}merge"
FIRST_KEY = re.compile(rb"[\s{\"-]*([A-Za-z_][\w-]*)\"?\s*:")
LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")


WORDS_OF_TAGS = {"bool": "a boolean", "int": "an integer", "float": "a number"}
"""Of tags that a file may state itself: `!!int abc`."""


class Loader(yaml.SafeLoader):
    """PyYAML's, with rules of our own for what a plain word is."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the name that PyYAML looks for


def _resolve(kind: str, pattern: str, first: str) -> None:
    Loader.add_implicit_resolver(f"{PREFIX}{kind}", re.compile(pattern), list(first))


_resolve("bool", r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$", "yYnNtTfFoO")
_resolve("int", r"^[-+]?(?:0b_*[01][01_]*|0o_*[0-7][0-7_]*|0x_*[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)$", "-+0123456789")
_resolve(
    "float",
    r"^[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$"
    r"|^\.(?:nan|NaN|NAN)$",
    "-+.0123456789",
)
_resolve("null", r"^(?:~|null|Null|NULL|)$", "~nN")
Loader.add_implicit_resolver(f"{PREFIX}null", re.compile(r"^$"), [""])
_resolve("merge", r"^<<$", "<")
_resolve("timestamp", r"^\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?.*)?$", "0123456789")


@dataclass(slots=True)
class SpecFile:
    """What a file holds. Paths are those of the lab's problems: `spec.layers.0`."""

    name: str
    content: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    """Plain words as they stand in the file, where YAML made something else of them."""
    issues: list[tuple[str, str]] = field(default_factory=list)
    """Paths and what is wrong with them."""

    def place(self, path: str) -> str | None:
        """`order.yaml, line 3`; for a path that is not in the file, where the nearest one above it stands."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return f"{self.name}, line {self.lines[path]}" if path else None


def read_mapping(path: Path, model: "type[BaseModel] | None" = None) -> SpecFile:
    """A YAML or JSON file that holds a mapping, and one that fits `model`; `-` is standard input. Raises BadInput."""
    name = "standard input" if str(path) == STANDARD_INPUT else str(path)
    text = _decoded(name, _bytes(name, path))
    found = _from_json(name, text) or _from_yaml(name, text, is_json=path.suffix.lower() == ".json")
    if found.content is None:
        raise BadInput(f"{name} is empty")
    if not isinstance(found.content, dict):
        raise BadInput(f"{name} must contain a mapping, not {type(found.content).__name__}")
    found.issues += _unfit(found.content, "")
    if model is not None and (unknown := found.content.keys() - model.model_fields.keys()):
        first = min(unknown, key=lambda key: found.lines[key])
        raise BadInput(f"{found.place(first)}: unknown key {first!r}; known: {', '.join(model.model_fields)}")
    if model is not None:
        found.issues += _misfits(found, model)
    if found.issues:
        raise BadInput(_listed(found))
    return found


def _misfits(found: SpecFile, model: "type[BaseModel]") -> Iterator[tuple[str, str]]:
    """What the lab would refuse, apart from fields that are still to come from the command line."""
    from pydantic import ValidationError

    known = {path for path, _ in found.issues}
    try:
        model.model_validate({key: value for key, value in found.content.items() if value is not None})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            path = ".".join(str(part) for part in one["loc"])
            if one["type"] != "missing" and path not in known:
                sent = json.dumps(one["input"], default=str)[:MAX_SHOWN]
                hint = _quotes(found.written.get(path), one["input"]) if one["type"] == "string_type" else ""
                yield path, f"{one['msg'][0].lower()}{one['msg'][1:]}, not {sent}{hint}"


def _quotes(word: str | None, value: object) -> str:
    kind = WORDS_OF_TAGS.get(type(value).__name__)
    return f"; YAML reads {word} as {kind}; put it in quotes to make it text" if word and kind else ""


def _listed(found: SpecFile) -> str:
    parts = [f"{found.place(path) or found.name}: {path}: {words}" for path, words in found.issues[:MAX_ISSUES]]
    more = len(found.issues) - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more else "")


def parse_json(text: str) -> Any:
    """JSON in which no key appears twice. Raises ValueError."""
    return json.loads(text, object_pairs_hook=_once)


def _bytes(name: str, path: Path) -> bytes:
    try:
        if str(path) == STANDARD_INPUT:
            content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_FILE_BYTES:
        raise BadInput(f"{name} is larger than {MAX_FILE_BYTES} bytes, which is the limit")
    return content


def _decoded(name: str, content: bytes) -> str:
    """UTF-8 with or without a mark, or UTF-16 with one, as PowerShell writes it."""
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        seen = content[error.start : error.start + 1].hex()
        key = FIRST_KEY.match(content[: error.start].rpartition(b"\n")[2])
        where = f"{name}, line {line}" + (f": {key[1].decode()}" if key else "")
        raise BadInput(f"{where}: the byte 0x{seen} is not UTF-8; save the file as UTF-8") from None


def _from_json(name: str, text: str) -> SpecFile | None:
    """None where it is no JSON. The lines are those that YAML sees, for which a tab between values is a blank."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    seen = _from_yaml(name, text.replace("\t", " "), is_json=True)
    seen.content = content
    return seen


def _from_yaml(name: str, text: str, *, is_json: bool) -> SpecFile:
    found = SpecFile(name, {})
    loader = None
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _Walk(found).visit(node, "", 0)
        found.content = None if node is None else loader.construct_document(node)  # type: ignore[assignment] # checked by the caller
    except yaml.YAMLError as error:
        raise BadInput(f"{name}{_complaint(error, text, is_json=is_json)}") from None
    except RecursionError:
        raise BadInput(f"{name} is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from None
    finally:
        if loader is not None:
            loader.dispose()
    return found


class _Walk:
    """Notes where each value stands, and refuses what the lab could misread."""

    def __init__(self, found: SpecFile) -> None:
        self._found = found
        self._values = 0

    def visit(self, node: yaml.Node, path: str, depth: int) -> None:
        line = node.start_mark.line + 1
        self._values += 1
        self._found.lines.setdefault(path, line)
        if depth > MAX_DEPTH:
            self._refuse(line, path, f"nested deeper than {MAX_DEPTH} levels")
        if self._values > MAX_VALUES:
            self._refuse(line, path, f"with its aliases, the file has more than {MAX_VALUES} values")
        if node.tag not in KNOWN_TAGS:
            self._refuse(line, path, f"the tag {node.tag.replace(PREFIX, '!!')} is not known")
        if isinstance(node, yaml.MappingNode):
            self._visit_mapping(node, path, depth)
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                self.visit(child, _joined(path, str(index)), depth + 1)
        elif isinstance(node, yaml.ScalarNode):
            self._visit_scalar(node, path, line)

    def _visit_mapping(self, node: yaml.MappingNode, path: str, depth: int) -> None:
        seen: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.tag == MERGE:
                for merged in child.value if isinstance(child, yaml.SequenceNode) else [child]:
                    self.visit(merged, path, depth + 1)
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(line, path, "a key must be text")
            # Keys are text in JSON, whatever YAML takes `on`, `2` or a date for.
            key.tag = f"{PREFIX}str"
            where = _joined(path, key.value)
            if key.value in seen:
                self._found.issues.append((where, f"appears twice, in line {seen[key.value]} and in line {line}"))
            seen[key.value] = self._found.lines[where] = line
            self.visit(child, where, depth + 1)

    def _visit_scalar(self, node: yaml.ScalarNode, path: str, line: int) -> None:
        kind = node.tag.removeprefix(PREFIX)
        if kind == "timestamp":
            node.tag = f"{PREFIX}str"
            self._found.issues.append((path, f"{node.value} is a date in YAML; write it in quotes to make it text"))
        elif kind in WORDS_OF_TAGS and not _reads_as(kind, node.value):
            node.tag = f"{PREFIX}str"
            self._found.issues.append((path, f"{node.value!r} is not {WORDS_OF_TAGS[kind]}"))
        elif kind == "int" and LEADING_ZERO.fullmatch(node.value):
            node.tag = f"{PREFIX}str"
            self._found.issues.append(
                (path, f"{node.value} may mean octal or decimal; write it without zeros in front")
            )
        elif kind == "int" and len(node.value) > MAX_DIGITS:
            self._refuse(line, path, f"an integer of {len(node.value)} digits is too large")
        elif kind not in ("str", "null") and node.style is None:
            self._found.written[path] = node.value

    def _refuse(self, line: int, path: str, words: str) -> NoReturn:
        raise ValueError(f"line {line}: {path}: {words}" if path else f"line {line}: {words}")


def _complaint(error: yaml.YAMLError, text: str, *, is_json: bool) -> str:
    """`, line 3: ...` in words of one line."""
    if is_json:
        try:
            json.loads(text)
        except json.JSONDecodeError as problem:
            return f", line {problem.lineno}: is not JSON: {problem.msg}"
        except (ValueError, RecursionError):
            pass
    if isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        return f", line {line}: the character U+{ord(text[error.position]):04X} is not allowed"
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = "" if mark is None else f", line {mark.line + 1}"
    words = " ".join(str(getattr(error, "problem", None) or error).split())
    if "'\\t'" in words or (mark is not None and "\t" in _line(text, mark.line)[: mark.column + 1]):
        return f"{where}: a tab; YAML allows only spaces before a field or a value"
    if "another document" in words or "single document" in str(getattr(error, "context", "")):
        return f"{where}: a second document begins; a file must have only one"
    return f"{where} is neither YAML nor JSON: {words}"


def _line(text: str, index: int) -> str:
    lines = text.splitlines()
    return lines[index] if index < len(lines) else ""


def _unfit(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """What JSON cannot hold."""
    match value:
        case float() if not math.isfinite(value):
            yield path, "must be a finite number; NaN and infinity cannot be sent"
        case str() if any("\ud800" <= character <= "\udfff" for character in value):
            yield path, "half of a surrogate pair is not a character"
        case dict():
            for key, child in value.items():
                yield from _unfit(child, _joined(path, key))
        case list():
            for index, child in enumerate(value):
                yield from _unfit(child, _joined(path, str(index)))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} appears twice")
    return made


def _reads_as(kind: str, word: str) -> bool:
    """Whether a plain word would be read as what a tag makes of it; an integer is a number too."""
    rules = Loader.yaml_implicit_resolvers.get(word[:1], [])
    found = next((tag.removeprefix(PREFIX) for tag, pattern in rules if pattern.match(word)), None)
    return found == kind or (kind == "float" and found == "int" and word.lstrip("+-").replace("_", "").isdecimal())


def _joined(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part
