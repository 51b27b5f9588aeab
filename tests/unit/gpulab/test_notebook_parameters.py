"""Parameters of a notebook that do nothing are named before and while it runs."""

from typing import Any

import pytest

from gpulab.notebook_parameters import doubts


def code(source: Any, *tags: str) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}}


TAGGED = [
    code("import torch"),
    code(["%matplotlib inline\n", "lr = 0.1; batch: int = 8\n", "if True:\n    (a, b) = 1, 2\n"], "parameters"),
]
UNKNOWN = "the cell tagged `parameters` does not assign 'rate'. It assigns: a, b, batch, lr"
CASES: list[tuple[list[dict[str, Any]], list[str], list[str]]] = [
    (TAGGED, ["lr", "batch", "b"], []),
    (TAGGED, ["rate"], [UNKNOWN]),
    ([code("", "parameters")], ["lr"], ["the cell tagged `parameters` does not assign 'lr'. It assigns: nothing"]),
    ([code("lr = = 1", "parameters")], ["rate"], []),
    ([code("print(lr)"), code("def f(x):\n    lr2 = x")], ["lr"], []),
    ([code("print(lr)")], ["lr2"], ["no cell of the notebook uses 'lr2'"]),
    (
        [code("x = 1"), code("lr = 0.5")],
        ["lr"],
        ["cell 2 assigns 'lr' again, over your value. Tag the cell `parameters` to use your value"],
    ),
    ([code("lr = 3", "injected-parameters"), code("print(lr)")], ["lr"], []),
    ([{"cell_type": "markdown", "source": "lr"}, {"cell_type": "code", "source": None}], ["lr"], ["no cell"]),
]


@pytest.mark.parametrize(("cells", "names", "said"), CASES)
def test_parameters_without_effect_are_named(cells: list[dict[str, Any]], names: list[str], said: list[str]) -> None:
    found = doubts(cells, names)
    assert len(found) == len(said)
    assert all(sentence.startswith(start) for sentence, start in zip(found, said, strict=True))
