"""Prometheus loads the alert rules: checked by `promtool` where it is installed, and always by what it checks."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

RULES = Path(__file__).parents[3] / "ops" / "alerts.yaml"
Duration = Annotated[str, StringConstraints(pattern=r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$", min_length=2)]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
Text = Annotated[str, StringConstraints(min_length=1)]
TEMPLATE = re.compile(r"\{\{.*?\}\}")
PAIRS = {")": "(", "]": "[", "}": "{"}


class _Strict(BaseModel):
    """As Prometheus reads its files: a key that it does not know refuses all of them."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Rule(_Strict):
    alert: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]+$")]
    expr: Text
    for_: Duration | None = Field(default=None, alias="for")
    keep_firing_for: Duration | None = None
    labels: dict[LabelName, Text]
    annotations: dict[LabelName, Text]


class Group(_Strict):
    name: Text
    interval: Duration | None = None
    rules: Annotated[list[Rule], Field(min_length=1)]


class RuleFile(_Strict):
    groups: Annotated[list[Group], Field(min_length=1)]


class UniqueKeys(yaml.SafeLoader):
    """Prometheus refuses a key that comes twice; PyYAML keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]  # type: ignore[no-untyped-call]
        if len(set(keys)) < len(keys):
            raise yaml.YAMLError(f"a key comes twice: {keys}")
        return super().construct_mapping(node, deep)


def loaded(text: str) -> RuleFile:
    return RuleFile.model_validate(yaml.load(text, UniqueKeys))  # noqa: S506 - a safe loader


def balanced(expression: str) -> bool:
    """Whether every bracket outside of strings is closed by its kind."""
    open_brackets = []
    for character in re.sub(r'"(?:[^"\\]|\\.)*"', "", expression):
        if character in PAIRS.values():
            open_brackets.append(character)
        elif character in PAIRS and (not open_brackets or open_brackets.pop() != PAIRS[character]):
            return False
    return not open_brackets and expression.count('"') % 2 == 0


def test_rules_have_the_form_that_prometheus_reads() -> None:
    (group,) = loaded(RULES.read_text()).groups
    names = [rule.alert for rule in group.rules]
    assert len(set(names)) == len(names) >= 9
    for rule in group.rules:
        assert balanced(rule.expr), rule.alert
        assert set(rule.labels) == {"severity"}
        assert rule.labels["severity"] in {"page", "ticket"}
        assert set(rule.annotations) == {"summary"}
        summary = TEMPLATE.sub("", rule.annotations["summary"])
        assert "{{" not in summary
        assert summary.endswith("."), rule.alert


@pytest.mark.parametrize(
    "text",
    [
        "groups: [{name: a, rules: [{alert: A, expr: up, labels: {}, annotations: {summary: One, or two.}}]}]",
        "groups: [{name: a, rules: [{alert: A, expr: up, labels: {}, annotations: {}, unknown: 1}]}]",
        "groups: [{name: a, rules: [{alert: A, expr: up, labels: {}, annotations: {}, for: 5 minutes}]}]",
        "groups: [{name: a, rules: [{alert: A, expr: up, labels: {severity: 1}, annotations: {}}]}]",
        "groups: [{name: a, name: b, rules: [{alert: A, expr: up, labels: {}, annotations: {}}]}]",
        "groups: [{name: a, rules: []}]",
    ],
)
def test_what_prometheus_refuses_is_seen(text: str) -> None:
    with pytest.raises((ValidationError, yaml.YAMLError)):
        loaded(text)


def test_unbalanced_expressions_are_seen() -> None:
    assert balanced('sum(rate(a{status=~"5.(.)"}[5m])) > 0')
    for expression in ("sum(a", "sum(a]", "a)", 'a{b="c}'):
        assert not balanced(expression)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
