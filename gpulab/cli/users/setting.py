"""`gpulab assignments create`, `change` and `extend`: what staff set."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpulab.cli.failures import BadInput
from gpulab.cli.session import Session, print_json
from gpulab.cli.session import session_command as command
from gpulab.cli.users.assignments import AssignmentName, app, find_assignment, late_policy
from gpulab.cli.users.naming import OfCourse, course_field, find_user

if TYPE_CHECKING:
    from gpulab.schemas.assignments import AssignmentRead, ExtensionRead

__all__ = ["app"]

COST = re.compile(r"(\d+(?:\.\d+)?)\s*(%|percent|points?)")
NO_LIMIT = NO_POINTS = "-"

Deadline = Annotated[
    str, typer.Option(help="Last day (2030-01-31) or a time (2030-01-31T18:00), in the lab's time zone.")
]
NewName = Annotated[str | None, typer.Option(help="A new name.")]
NewDeadline = Annotated[
    str | None, typer.Option(help="Last day (2030-01-31) or a time (2030-01-31T18:00), in the lab's time zone.")
]
Templates = Annotated[list[str] | None, typer.Option(help="A study template, such as course/1b; repeatable.")]
Experiments = Annotated[list[str] | None, typer.Option(help="An experiment; repeatable.")]
Tolerance = Annotated[float | None, typer.Option(help="Relative tolerance for re-runs.")]
MaxPoints = Annotated[str | None, typer.Option(help="Maximum points of a submission; - for none.")]
RerunPoints = Annotated[str | None, typer.Option(help="Points if the re-run is within the tolerance; - for none.")]
Description = Annotated[str | None, typer.Option(help="Description for the class.")]
LateDays = Annotated[str | None, typer.Option(help="Days for late work: 0 accepts none, - sets no limit.")]
LateDeduction = Annotated[str | None, typer.Option(help="Deduction for each late day: 10% or 2points.")]
Answers = Annotated[
    bool | None,
    typer.Option(
        "--answers-after-deadline/--answers-at-once",
        help="When students see correct answers.",
        show_default="after the deadline",
    ),
]


@command(app)
def create(
    session: Session,
    name: Annotated[str, typer.Argument(help="A unique name.")],
    deadline: Deadline,
    template: Templates = None,
    experiment: Experiments = None,
    tolerance: Tolerance = None,
    max_points: MaxPoints = None,
    rerun_points: RerunPoints = None,
    description: Description = None,
    late_days: LateDays = None,
    late_deduction: LateDeduction = None,
    answers_after_deadline: Answers = None,
    course: OfCourse = None,
) -> None:
    """Create an assignment. For staff."""
    made = session.client.users.create_assignment(
        name,
        deadline,
        templates=template or (),
        experiments=experiment or (),
        tolerance=tolerance,
        description=description,
        answers_after_deadline=answers_after_deadline,
        **course_field(session, course),
        **_points(max_points=max_points, rerun_points=rerun_points),
        **_late(late_days, late_deduction),
    )
    _print(session, made, str(made.id))


@command(app)
def change(
    session: Session,
    assignment: AssignmentName,
    name: NewName = None,
    deadline: NewDeadline = None,
    template: Templates = None,
    experiment: Experiments = None,
    tolerance: Tolerance = None,
    max_points: MaxPoints = None,
    rerun_points: RerunPoints = None,
    description: Description = None,
    late_days: LateDays = None,
    late_deduction: LateDeduction = None,
    answers_after_deadline: Answers = None,
) -> None:
    """Change an assignment; what you leave out stays. For staff."""
    given = {
        "name": name,
        "deadline": deadline,
        "templates": template,
        "experiments": experiment,
        "tolerance": tolerance,
        "description": description,
        "answers_after_deadline": answers_after_deadline,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    fields |= _points(max_points=max_points, rerun_points=rerun_points) | _late(late_days, late_deduction)
    if not fields:
        raise BadInput("name what to change, such as --deadline 2030-01-31; see --help")
    found = find_assignment(session, assignment)
    _print(session, session.client.users.change_assignment(found.id, **fields), "changed")


@command(app)
def extend(
    session: Session,
    assignment: AssignmentName,
    deadline: Deadline,
    user: Annotated[str | None, typer.Option(help="For this user: name, email address or id.")] = None,
    section: Annotated[str | None, typer.Option(help="For all students of this section.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only staff can see it.")] = None,
) -> None:
    """Give one user or one section a later deadline. For staff."""
    if (user is None) == (section is None):
        raise BadInput("name one user (--user) or one section (--section)")
    made = session.client.users.extend(
        find_assignment(session, assignment).id,
        deadline,
        user_id=None if user is None else find_user(session, user).id,
        section=section,
        reason=reason,
    )
    if session.as_json:
        print_json(made)
    else:
        print(f"{_whose(made)}  due {made.deadline_text}")


@command(app)
def extensions(session: Session, assignment: AssignmentName) -> None:
    """List later deadlines of single users and sections. For staff."""
    from gpulab.cli.tables import print_table

    found = session.client.users.extensions(find_assignment(session, assignment).id)
    if session.as_json:
        print_json(found)
    else:
        rows = ([_whose(one), one.deadline_text, str(one.id), one.reason] for one in found)
        print_table(["FOR", "DUE", "ID", "REASON"], rows)


@command(app)
def end_extension(
    session: Session,
    assignment: AssignmentName,
    user: Annotated[str | None, typer.Option(help="Of this user: name, email address or id.")] = None,
    section: Annotated[str | None, typer.Option(help="Of this section.")] = None,
) -> None:
    """Take a later deadline back. For staff."""
    if (user is None) == (section is None):
        raise BadInput("name one user (--user) or one section (--section)")
    found = find_assignment(session, assignment)
    user_id = None if user is None else find_user(session, user).id
    whose = f"{user}" if section is None else f"section {section}"
    for one in session.client.users.extensions(found.id):
        if (one.user_id, one.section) == (user_id, section):
            session.client.users.end_extension(found.id, one.id)
            _print_ended(session, one)
            return
    raise BadInput(f"{whose} has no extension; `gpulab assignments extensions` lists them")


def _print_ended(session: Session, one: "ExtensionRead") -> None:
    if session.as_json:
        print_json(one)
    else:
        print(f"{_whose(one)}  has the deadline of the assignment again")


def _whose(one: "ExtensionRead") -> str:
    return one.user or f"section {one.section}"


def _points(**given: str | None) -> dict[str, Any]:
    """The fields of points that were given. Raises BadInput."""
    return {name: None if text == NO_POINTS else number(name, text) for name, text in given.items() if text is not None}


def number(what: str, text: str) -> float:
    """Points on the command line. Raises BadInput."""
    try:
        return float(text)
    except ValueError:
        option = f"--{what.replace('_', '-')}"
        raise BadInput(f"{text!r} is not a number of points; write {option} 7.5") from None


def _late(days: str | None, cost: str | None) -> dict[str, Any]:
    """The fields of the late policy that were given. Raises BadInput."""
    fields: dict[str, Any] = {}
    if days is not None:
        if days != NO_LIMIT and not days.isdecimal():
            raise BadInput(f"{days!r} is not a number of days; write 3, 0 for none, or - for no limit")
        fields["late_days"] = None if days == NO_LIMIT else int(days)
    if cost is not None:
        found = COST.fullmatch(cost.strip())
        if found is None:
            raise BadInput(f"{cost!r} is not a deduction; write 10% or 2points")
        fields |= {"late_deduction": float(found[1])}
        fields |= {"late_deduction_unit": "points" if found[2].startswith("point") else "percent"}
    return fields


def _print(session: Session, one: "AssignmentRead", what: str) -> None:
    if session.as_json:
        print_json(one)
    else:
        print(f"{what}  {one.name}, due {one.deadline_text}; late work {late_policy(one)}")
