"""Turns findings into a page and into Markdown. Whatever came from outside is escaped; the page runs no script."""

import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from experiments.internal.study_report.drawing import shown_width
from experiments.studies.findings import Verdict
from experiments.studies.report import StudyReport, described, shown
from gpulab.words import counted

VERDICTS = {
    Verdict.AGREES: ("✓", "agrees"),
    Verdict.SHEET_IS_WRONG: ("✎", "sheet is wrong"),
    Verdict.DIFFERS: ("✗", "differs"),
    Verdict.UNDECIDED: ("?", "undecided"),
    Verdict.TOO_SMALL: ("·", "too small here"),
    Verdict.NOT_MEASURED: ("○", "not measured"),
}
"""A sign and words for each verdict, so that colour alone says nothing."""
MARKUP = re.compile(r"[\\`*_\[\]<>|&#~!@$]")
BLOCK = re.compile(r"^(\d*)([-+=.)])(?=\s|$|[-+=])")
"""What begins a list, a rule or a heading at the start of a line."""


def render_html(found: StudyReport, pictures: Mapping[str, bytes], lab: Mapping[str, str]) -> str:
    """The report as one page with its images inside."""
    shown_pictures = {
        name: {"address": f"data:image/png;base64,{b64encode(data).decode()}", "width": shown_width(data)}
        for name, data in pictures.items()
    }
    return (
        _environment(escape=True)
        .get_template("report.html.j2")
        .render(report=found, pictures=shown_pictures, lab=lab, verdicts=VERDICTS, Verdict=Verdict)
    )


def render_markdown(found: StudyReport, lab: Mapping[str, str]) -> str:
    """The report as Markdown; its images are files beside it, named after the figures."""
    return (
        _environment(escape=False)
        .get_template("report.md.j2")
        .render(report=found, lab=lab, verdicts=VERDICTS, Verdict=Verdict)
    )


def _environment(*, escape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=escape,  # noqa: S701 - Markdown is not HTML; its cells have their own escape
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["counted"] = counted
    environment.filters["shown"] = shown
    environment.filters["described"] = described
    environment.filters["cell"] = _markdown_cell
    return environment


def _markdown_cell(value: object, digits: int = 5) -> str:
    """A value for a cell or a line of Markdown: nothing in it reads as markup, at its beginning neither."""
    text = MARKUP.sub(r"\\\g<0>", " ".join(shown(value, digits).split()))
    text = text.replace("://", ":\\//").replace("www.", "www\\.")
    return BLOCK.sub(r"\1\\\2", text)
