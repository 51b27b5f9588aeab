"""Files of specs as people write them: what is read, and what is said of what cannot be."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gpulab.cli.failures import BadInput
from gpulab.cli.specs.spec_files import MAX_FILE_BYTES, read_mapping
from gpulab.schemas import JobCreate, StudyCreate
from tests.unit.gpulab.command import Ran
from tests.unit.gpulab.stub_lab import StubLab

BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


def written(folder: Path, content: str | bytes, name: str = "order.yaml") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("1e-3", 1e-3),
        ("2E5", 2e5),
        ("-.5", -0.5),
        ("1_000", 1000),
        ("0o17", 15),
        ("0x1F", 31),
        ("yes", True),
        ("off", False),
        ("'no'", "no"),
        ('"2030-01-31"', "2030-01-31"),
        ("1:30", "1:30"),
        ("0x_", "0x_"),
        ("!!float 3", 3.0),
        ("!!int '7'", 7),
        ("~", None),
        ("plain words", "plain words"),
        ("{on: 1, 2: x, 2030-01-31: y}", {"on": 1, "2": "x", "2030-01-31": "y"}),
    ],
)
def test_a_value_is_what_its_writer_meant(tmp_path: Path, content: str, value: object) -> None:
    found = read_mapping(written(tmp_path, f"x: {content}\n")).content["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marks_of_windows_programs_are_no_part_of_the_first_key(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, "experiment: echo\r\nname: café\r\n".encode(encoding))
    assert read_mapping(path, JobCreate).content == {"experiment": "echo", "name": "café"}


def test_json_may_be_indented_with_tabs(tmp_path: Path) -> None:
    path = written(tmp_path, '{\n\t"experiment": "echo",\n\t"spec": {\n\t\t"x": 5000\n\t}\n}', "order.json")
    found = read_mapping(path, JobCreate)
    assert found.content["spec"] == {"x": 5000}
    assert found.place("spec.x") == f"{path}, line 4"


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    path = written(tmp_path, "base: &b {lr: 0.1, steps: 3}\nspec:\n  <<: *b\n  steps: 4\n")
    assert read_mapping(path).content["spec"] == {"lr": 0.1, "steps": 4}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x:\n  - 1\n  - {y: .nan}\n", "line 3: x.1.y: must be a finite number"),
        ("x: 1e999\n", "line 1: x: must be a finite number"),
        ("a: 1\nx: -.inf\n", "line 2: x: must be a finite number"),
        ("a: 1\nb: {c: 2030-01-31}\n", "line 2: b.c: 2030-01-31 is a date in YAML; write it in quotes"),
        ("a: 2030-01-31T10:00:00Z\n", "line 1: a: 2030-01-31T10:00:00Z is a date"),
        ("a: 1\nb: 2\na: 3\n", "line 3: a: appears twice, in line 1 and in line 3"),
        ("a:\n  b: 1\n  b: 1\n", "line 3: a.b: appears twice"),
        ("x: 1\na: 08\n", "line 2: a: 08 may mean octal or decimal"),
        ("x: 1\na: !!bool maybe\n", "line 2: a: 'maybe' is not a boolean"),
        ("x: 1\na: !!int ''\n", "line 2: a: '' is not an integer"),
        ("x: [!!float 0x10]\n", "line 1: x.0: '0x10' is not a number"),
        ("a:\tb\n", "line 1: a tab; YAML allows only spaces before a field or a value"),
        ("a: 017\n", "line 1: a: 017 may mean octal or decimal"),
        ("a:\n\tb: 1\n", "line 2: a tab; YAML allows only spaces"),
        ("a: 1\n--- \nb: 2\n", "line 2: a second document begins"),
        ("a: !!python/object:os.system {}\n", "line 1: a: the tag !!python/object:os.system is not known"),
        ("a: !!binary aGk=\n", "line 1: a: the tag !!binary is not known"),
        ("a: !mine 1\n", "line 1: a: the tag !mine is not known"),
        ("a: &a [*a]\n", "nested deeper than"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested deeper than"),
        (BOMB, "has more than 100000 values"),
        ("a: *nothing\n", "line 1 is neither YAML nor JSON: found undefined alias"),
        ("a: {\n", "is neither YAML nor JSON"),
        ("ok: 1\na: b: c\n", "line 2 is neither YAML nor JSON"),
        ("? [1, 2]\n: x\n", "line 1: a key must be text"),
        ("a: " + "9" * 5000, "line 1: a: an integer of 5000 digits"),
        (b"a: 1\nname: caf\xe9\n", "line 2: name: the byte 0xe9 is not UTF-8"),
        (b'{"a": 1,\n "name": "caf\xe9"}', "line 2: name: the byte 0xe9"),
        (b"a: 1\nb: x\x00y\n", "line 2: the character U+0000 is not allowed"),
        ("a: 1\nb: \x1b[31m\n", "line 2: the character U+001B is not allowed"),
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("just words", "must contain a mapping, not str"),
        ("[1]", "must contain a mapping, not list"),
        ("x" * (MAX_FILE_BYTES + 1), f"is larger than {MAX_FILE_BYTES} bytes"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_place(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_mapping(written(tmp_path, content))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "order.yaml"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{\n"a": 1\n"b": 2}', "line 3: is not JSON"),
        ('{"a": 1,\n"b": NaN}', "line 2: b: must be a finite number"),
        ('{"a": {"b": 1,\n"b": 2}}', "line 2: a.b: appears twice"),
        ('{"a": "\\ud800"}', "line 1: a: half of a surrogate pair"),
        ('{"a": 1} {"b": 2}', "line 1: is not JSON: Extra data"),
    ],
)
def test_a_json_file_is_judged_as_json(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_mapping(written(tmp_path, content, "order.json"))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "experiment: echo\ntags: [a, no]\n",
            "line 2: tags.1: input should be a valid string, not false; YAML reads no as a boolean",
        ),
        (
            "experiment: echo\ntags:\n  - on\n  - 2\n",
            "line 4: tags.1: input should be a valid string, not 2; YAML reads 2 as an integer",
        ),
        ("experiment: echo\nname: 1.5\n", "line 2: name: input should be a valid string, not 1.5"),
        ("experiment: echo\nseed: '1'\n", 'line 2: seed: input should be a valid integer, not "1"'),
        ("experiment: echo\nspec: 5\n", "line 2: spec: input should be a valid dictionary"),
        ("experiment: echo\nextra: 5\n", "line 2: unknown key 'extra'; known: experiment, spec"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_before_it_is_sent(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_mapping(written(tmp_path, content), JobCreate)
    assert words in str(caught.value)


def test_every_issue_is_listed_up_to_a_few(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"and 3 more$") as caught:
        read_mapping(written(tmp_path, "".join(f"k{n}: .nan\n" for n in range(8))))
    assert [f"line {n}" in str(caught.value) for n in (1, 5, 6)] == [True, True, False]


def test_fields_left_empty_take_their_defaults(tmp_path: Path) -> None:
    assert read_mapping(written(tmp_path, "experiment: echo\nspec:\ntags:\n"), JobCreate).content["spec"] is None
    assert read_mapping(written(tmp_path, "experiment: echo\ngrid: {x: [1]}\nbase:\n"), StudyCreate)


def test_a_folder_and_a_file_that_may_not_be_read_are_told(run: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    assert run("submit", "folder.yaml").err == "gpulab: cannot read folder.yaml: Is a directory\n"
    locked = written(tmp_path, "experiment: echo", "locked.yaml")
    locked.chmod(0)
    if not os.access(locked, os.R_OK):
        assert run("submit", "locked.yaml").err == "gpulab: cannot read locked.yaml: Permission denied\n"


def test_a_dash_is_standard_input(run: Callable[..., Ran], stub: StubLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"experiment": "echo", "spec": {"steps": 3}}')))
    assert run("submit", "-").code == 0
    assert json.loads(stub.requests[-1].content)["spec"] == {"steps": 3}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"steps: [.nan]")))
    assert "standard input, line 1: steps.0: must be" in run("submit", "echo", "--spec", "-").err


def test_what_the_lab_refuses_is_said_with_the_line(run: Callable[..., Ran], tmp_path: Path) -> None:
    written(tmp_path, "experiment: echo\nspec:\n  # many\n  steps: 5000\n")
    ran = run("submit", "order.yaml")
    assert ran.code == 3
    assert ran.err.startswith("gpulab: order.yaml, line 4: spec.steps: Input should be less")
    assert "line" not in run("submit", "order.yaml", "-p", "steps=6000").err
    written(tmp_path, "steps: 7000", "spec.yaml")
    assert "spec.yaml, line 1: spec.steps" in run("submit", "order.yaml", "--spec", "spec.yaml").err


def test_a_key_given_twice_on_the_command_line_is_refused(run: Callable[..., Ran]) -> None:
    assert "the key 'a' appears twice" in run("submit", "echo", "--spec", '{"a": 1, "a": 2}').err


def test_a_number_that_json_cannot_hold_is_named_by_its_field(run: Callable[..., Ran]) -> None:
    ran = run("submit", "echo", "-p", "x.y=[1, 1e999]")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "spec.x.y.1" in ran.err
