"""The curves of a run: the three that matter come first, the others by group. No group has a single curve."""

from typing import Any

import pytest

from tests.unit.dashboard.scripts import run_module

GROUPS = """
const { first, rest } = module.groupsOf(given.names.map((name) => ({ name })), given.directed);
const namesOf = (curves) => curves.map(({ name }) => name);
return [namesOf(first), Object.fromEntries(rest.map(({ name, curves }) => [name, namesOf(curves)]))];
"""


@pytest.mark.parametrize(
    ("names", "directed", "first", "rest"),
    [
        # What the experiment itself calls better or worse, held-out data before training data.
        (
            ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"],
            ["train_loss", "validation_accuracy"],
            ["validation_accuracy", "train_loss", "validation_loss"],
            {"Other": ["train_accuracy", "learning_rate"]},
        ),
        # Of a program, of which nothing is known but names.
        (
            ["system/temperature", "system/fan", "train/loss", "test/f1", "val/loss", "train/grad_norm"],
            [],
            ["test/f1", "val/loss", "train/loss"],
            {"System": ["system/temperature", "system/fan"], "Other": ["train/grad_norm"]},
        ),
        (["b", "a", "loss", "c"], [], ["b", "a", "loss", "c"], {}),
        ([], [], [], {}),
    ],
)
def test_curves_that_matter_come_first(
    names: list[str], directed: list[str], first: list[str], rest: dict[str, Any]
) -> None:
    found = run_module("pages/job/curves/groups.ts", GROUPS, {"names": names, "directed": directed})
    assert found == [first, rest]
