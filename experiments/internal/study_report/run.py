"""Renders a study's findings: `report.html` stands alone, `report.md` has its images beside it."""

from experiments.contract import Run, Stopped
from experiments.internal.study_report.drawing import picture
from experiments.internal.study_report.rendering import render_html, render_markdown
from experiments.internal.study_report.spec import StudyReportResult, StudyReportSpec
from experiments.studies.report import report


def run(spec: StudyReportSpec, run: Run) -> StudyReportResult:
    """Judge the outcomes, draw, and write the artifacts."""
    found = report(
        spec.title,
        spec.outcomes,
        template=spec.template,
        scale=spec.scale,
        questions=spec.questions,
        notes=spec.notes,
    )
    with run.artifact("findings.json") as path:
        path.write_text(found.model_dump_json(indent=1), encoding="utf-8")
    figures = [figure for question in found.questions for figure in question.figures]
    pictures: dict[str, bytes] = {}
    for number, figure in enumerate(figures):
        if run.should_stop():
            raise Stopped(f"asked to stop after {number} of {len(figures)} figures")
        run.progress(number / len(figures), f"drawing {figure.name}")
        pictures[figure.name] = picture(figure)
        with run.artifact(f"{figure.name}.png") as path:
            path.write_bytes(pictures[figure.name])
    for name, text in (
        ("report.html", render_html(found, pictures, spec.lab)),
        ("report.md", render_markdown(found, spec.lab)),
    ):
        with run.artifact(name) as path:
            path.write_text(text, encoding="utf-8")
    run.progress(1.0, "done")
    return StudyReportResult(
        verdicts=found.verdicts,
        questions=len(found.questions),
        figures=len(figures),
        runs=found.provenance.runs,
        finished=found.provenance.finished,
    )
