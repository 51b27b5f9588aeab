"""Images with whatever words a user has, and runs whose images fail."""

import io
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from experiments.datasets.loading import load
from experiments.drawing import MAX_LABEL_CHARACTERS, plain
from experiments.hosting import host
from experiments.hosting.record_reader import RecordReader
from experiments.hosting.run_directory import RunDirectory
from experiments.hosting.wire import RunOrder, Succeeded, Warned
from experiments.internal.study_report import drawing
from experiments.studies.findings import FigureSpec, Heat, Plot, Series
from homework.experiments.dropout_linear import figures

WORDS = (
    "from_$5_to_$10",
    "$$",
    "x^",
    "$x^$",
    r"a\$b$c",
    r"\frac{",
    "caf\udce9",
    "line\nbreak\ttab\0nul",
    "_hidden",
    "猫 🐈",
    "x" * 300,
    "",
)
LINE = {"kind": "line", "x": (0.0, 1.0), "y": (1.0, 2.0)}


@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout")
@pytest.mark.parametrize("words", WORDS)
def test_words_are_drawn_as_they_are(words: str) -> None:
    lines = tuple(Series.model_construct(**{**LINE, "label": label}) for label in (words, "other"))
    panel = Plot.model_construct(title=words, x_label=words, y_label=words, series=lines, x_names=(words, "other"))
    heat = Heat.model_construct(title=words, values=((1.0, 2.0),), row_names=(words,), column_names=(words, words))
    for each in (panel, heat):
        assert drawing.png(drawing.draw(FigureSpec.model_construct(name="name", title=words, alt="", panels=(each,))))
    axes = Figure().subplots()
    text = axes.text(0, 0, plain(words))
    shown, as_formula = text._preprocess_math(text.get_text())  # type: ignore[attr-defined]
    assert not as_formula
    assert len(shown) <= MAX_LABEL_CHARACTERS + 1
    assert shown.strip().isprintable()
    if words.isascii() and words.isprintable() and len(words) < MAX_LABEL_CHARACTERS:
        assert shown.strip() == words


def test_figure_that_cannot_be_drawn_says_so_in_its_place() -> None:
    broken = Heat.model_construct(title="t", values=(), row_names=(), column_names=())
    spec = FigureSpec.model_construct(name="name", title="t", alt="", panels=(broken,))
    with pytest.raises(ValueError, match="zero-size"):
        drawing.draw(spec)
    assert drawing.picture(spec).startswith(b"\x89PNG")


@pytest.fixture
def carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Run `dropout-linear`, whose images come from `draw`."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threads = torch.get_num_threads()

    def run(draw: Callable[..., Any]) -> Path:
        monkeypatch.setattr(figures, "draw", draw)
        order = RunOrder(
            experiment="dropout-linear", spec={"iterations": 20}, datasets_folder=tmp_path, cache_folder=tmp_path
        )
        order.write(tmp_path)
        assert host.execute(tmp_path) == host.EXIT_OK
        return tmp_path

    yield run
    torch.set_num_threads(threads)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def one_good_one_bad(*_: Any) -> dict[str, Figure]:
    good, bad = Figure(), Figure()
    good.suptitle("fine")
    bad.suptitle("$x^$")
    return {"bad": bad, "good": good}


def test_picture_that_cannot_be_drawn_is_named_and_costs_nothing_else(carried_out: Callable[..., Path]) -> None:
    folder = carried_out(one_good_one_bad)
    reader = RecordReader(folder)
    assert isinstance(reader.ending(), Succeeded)
    (warned,) = [record for record in reader.every() if isinstance(record, Warned)]
    assert "bad (" in warned.message
    assert "good" not in warned.message
    assert [path.name for path in (folder / "artifacts").glob("*.png")] == ["good.png"]


def test_figures_that_cannot_even_be_made_cost_no_result(carried_out: Callable[..., Path]) -> None:
    def fail(*_: Any) -> dict[str, Figure]:
        raise MemoryError

    reader = RecordReader(carried_out(fail))
    assert isinstance(reader.ending(), Succeeded)
    assert any("MemoryError" in record.message for record in reader.every() if isinstance(record, Warned))


def test_classes_whose_folders_are_no_utf8_have_names_that_a_result_can_hold(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    for split in (b"train", b"test"):
        for name in (b"caf\xe9", b"from_$5"):
            folder = Path(bytes(tmp_path).decode()) / "set" / split.decode() / name.decode("utf-8", "surrogateescape")
            folder.mkdir(parents=True)
            (folder / "a.png").write_bytes(picture.getvalue())
    run = RunDirectory(tmp_path / "run", datasets_folder=tmp_path)
    assert load("set", run, image_size=8).class_names == ("caf\\udce9", "from_$5")
