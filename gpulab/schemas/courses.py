"""Installed courses on the wire."""

from gpulab.schemas.base import Outgoing


class TemplateRead(Outgoing):
    template: str
    """The name to submit a study with: `course/1b`."""
    title: str


class CourseRead(Outgoing):
    """A course: questions that the lab can answer by studies."""

    slug: str
    """What the names of its templates begin with."""
    whole: TemplateRead
    """All its questions as one study."""
    parts: list[TemplateRead]
    questions: list[TemplateRead]


class CoursePage(Outgoing):
    items: list[CourseRead]
    broken: list[dict[str, str]]
    """Courses that could not be loaded, with the reason."""
