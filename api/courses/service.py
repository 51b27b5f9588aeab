"""The installed courses, with the templates of their studies."""

from functools import cache

from experiments.studies.course import ALL, Course
from experiments.studies.courses import broken, courses
from experiments.studies.templates import templates
from gpulab.schemas import CoursePage, CourseRead, TemplateRead


@cache
def page() -> CoursePage:
    return CoursePage(
        items=[_read(course) for course in courses().values()],
        broken=[{"entry_point": plugin.entry_point, "reason": plugin.reason} for plugin in broken()],
    )


def _read(course: Course) -> CourseRead:
    return CourseRead(
        slug=course.slug,
        whole=_template(course, ALL),
        parts=[_template(course, part.slug) for part in course.parts],
        questions=[_template(course, slug) for slug in course.questions],
    )


def _template(course: Course, slug: str) -> TemplateRead:
    found = templates()[course.template(slug)]
    return TemplateRead(template=found.name, title=found.title)
