"""A student's own code in the dashboard: what is sent, the command that runs it, and notebooks that stay inert."""

import json
from typing import Any

import pytest

from tests.unit.dashboard.scripts import run_module


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python train.py --lr 0.1", ["python", "train.py", "--lr", "0.1"]),
        ('  bash\trun.sh \'two words\' "and \\"more\\"" ', ["bash", "run.sh", "two words", 'and "more"']),
        ('python x.py --name="a b" c\\ d', ["python", "x.py", "--name=a b", "c d"]),
        ("python x.py $HOME ; rm", ["python", "x.py", "$HOME", ";", "rm"]),
        ("", []),
    ],
)
def test_a_command_is_words_without_a_shell(line: str, words: list[str]) -> None:
    assert run_module("pages/program/command.ts", "return module.wordsOf(given);", line) == words


def test_a_command_keeps_its_words_when_a_run_is_repeated() -> None:
    words = ["python", "train.py", "two words", "it's", "--x=1", 'say "hi"', "$HOME"]
    assert run_module("pages/program/command.ts", "return module.wordsOf(module.lineOf(given));", words) == words


def test_parameters_are_numbers_and_truths_only_where_they_are_written_so() -> None:
    rows = [
        {"name": name, "text": text}
        for name, text in [("lr", "0.1"), ("name", "resnet"), ("flag", "true"), ("tag", "1a"), (" ", "x")]
    ]
    body = "return [module.parametersOf(given), module.rowsOf(module.parametersOf(given))];"
    parameters, back = run_module("pages/program/command.ts", body, rows)
    assert parameters == {"lr": 0.1, "name": "resnet", "flag": True, "tag": "1a"}
    assert back == rows[:4]


def test_a_program_starts_with_the_usual_file() -> None:
    body = "return given.map((paths) => Object.values(module.likelyStart(paths)));"
    programs = [["lib/main.py", "train.py"], ["b.py", "a.py", "x.txt"], ["lesson.ipynb", "data.csv"], ["data.csv"]]
    assert run_module("pages/program/command.ts", body, programs) == [
        [None, "python train.py"],
        [None, "python a.py"],
        ["lesson.ipynb", "python main.py"],
        [None, "python main.py"],
    ]


def test_a_folder_is_sent_without_its_name_its_caches_and_its_history() -> None:
    paths = ["work/train.py", "work/lib/net.py", "work/.git/config", "work/lib/__pycache__/net.pyc", "work/.DS_Store"]
    body = """
        const { name, files, skipped } = module.collected(given.map((path) => ({ path, content: null })));
        return [name, files.map((file) => file.path), skipped];
    """
    name, files, skipped = run_module("pages/program/collecting.ts", body, paths)
    assert (name, files, len(skipped)) == ("work", ["train.py", "lib/net.py"], 3)
    assert run_module("pages/program/collecting.ts", body, ["a.py"]) == ["a.py", ["a.py"], []]
    assert run_module("pages/program/collecting.ts", body, ["a/x.py", "b/y.py"]) == [None, ["a/x.py", "b/y.py"], []]


def _outputs(*outputs: dict[str, Any]) -> Any:
    cell = {"cell_type": "code", "source": ["a\n", "b"], "execution_count": 2, "outputs": outputs}
    text = json.dumps({"cells": [{"cell_type": "markdown", "source": "# <b>hi</b>"}, cell]})
    return run_module("pages/program/notebooks.ts", "return module.parsedNotebook(given);", text)


def test_a_notebook_is_read_with_its_outputs() -> None:
    png = "iVBOR\nw0KGgo="
    prose, code = _outputs(
        {"output_type": "stream", "text": ["one\n", "\u001b[31mred\u001b[0m"]},
        {"output_type": "display_data", "data": {"text/html": "<script>x</script>", "image/png": png}},
        {"output_type": "execute_result", "data": {"text/html": ["<b>", "x</b>"], "text/plain": "x"}},
        {"output_type": "error", "traceback": ["Traceback", "\u001b[0;31mValueError\u001b[0m: no"]},
        {"output_type": "display_data", "data": {"application/javascript": "alert(1)"}},
    )
    assert prose == {"kind": "text", "source": "# <b>hi</b>", "count": None, "outputs": []}
    assert (code["source"], code["count"]) == ("a\nb", 2)
    assert code["outputs"] == [
        {"kind": "text", "text": "one\nred"},
        {"kind": "image", "source": "data:image/png;base64,iVBORw0KGgo="},
        {"kind": "html", "html": "<b>x</b>"},
        {"kind": "error", "text": "Traceback\nValueError: no"},
    ]


def test_what_is_no_image_is_never_an_address() -> None:
    _, code = _outputs(
        {"output_type": "display_data", "data": {"image/png": "https://x.example/a.png", "text/plain": "x"}}
    )
    assert code["outputs"] == [{"kind": "text", "text": "x"}]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": 3}', "null", "not JSON"])
def test_what_is_no_notebook_is_shown_as_text(text: str) -> None:
    assert run_module("pages/program/notebooks.ts", "return module.parsedNotebook(given);", text) is None


def test_no_more_of_a_notebook_is_drawn_than_a_page_can_hold() -> None:
    output = {"output_type": "stream", "text": "x"}
    cells = [{"cell_type": "code", "source": str(number), "outputs": [output] * 3} for number in range(5)]
    found = run_module(
        "pages/program/notebooks.ts",
        "return module.excerpts(module.parsedNotebook(given), 4, 7);",
        json.dumps({"cells": cells}),
    )
    assert [(each["cell"]["source"], len(each["outputs"]), each["hidden"]) for each in found] == [
        ("0", 3, 0),
        ("1", 3, 0),
        ("2", 1, 2),
        ("3", 0, 3),
    ]


def test_a_strange_notebook_leaves_out_what_it_cannot_show() -> None:
    text = json.dumps(
        {"cells": [3, None, {"cell_type": "code", "source": {"x": 1}, "outputs": [7, {"output_type": "odd"}]}]}
    )
    cells = run_module("pages/program/notebooks.ts", "return module.parsedNotebook(given);", text)
    assert [cell["outputs"] for cell in cells] == [[], [], []]


@pytest.mark.parametrize(
    ("block", "live"),
    [
        ({"size_bytes": 5, "frames": ["a", 3, {"b": 1}]}, [{"bytes": 5, "frames": ["a"]}]),
        ({"size_bytes": 5, "frames": "not a list"}, [{"bytes": 5, "frames": []}]),
        ({"size_bytes": {"much": 1}}, None),
        (None, None),
    ],
)
def test_what_a_program_calls_a_snapshot_is_read_with_distrust(block: Any, live: Any) -> None:
    text = json.dumps({"allocated_bytes": 5, "blocks": [block]})
    found = run_module("allocator.ts", "return module.parsedSnapshot(given);", text)
    assert (found and found["live"]) == live
