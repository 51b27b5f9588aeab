"""`gpulab users ...` and `gpulab tokens ...`: who is let in, and with what."""

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from gpulab.cli.each import each
from gpulab.cli.failures import BadInput
from gpulab.cli.lab import Lab, lab_command, print_json
from gpulab.names import cleaned

if TYPE_CHECKING:
    from gpulab.schemas import UserRead

app = typer.Typer(help="People: who is let in, and what the lab allows them. For staff.", no_args_is_help=True)
tokens = typer.Typer(help="Your tokens; staff may name somebody else.", no_args_is_help=True)

Person = Annotated[str, typer.Argument(metavar="PERSON", help="Name, e-mail address or id.")]
Expires = Annotated[
    str | None, typer.Option("--expires", help="When it ends: a date, to its end, or a time; in your own time zone.")
]
OfPerson = Annotated[str | None, typer.Option("--user", help="Whose: name, e-mail address or id.")]
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
NOTHING = "-"
"""On the command line: take the value away."""


def find(lab: Lab, text: str) -> "UserRead":
    """The person named on the command line. Raises BadInput where nobody or several could be meant."""
    try:
        return lab.client.people.user(UUID(text))
    except ValueError:
        pass
    text = cleaned(text)
    wanted = text.casefold()
    found = [one for one in lab.client.people.users(text=text) if wanted in (one.name.casefold(), one.email)]
    # An address is one person's, whatever others are called.
    found = [one for one in found if one.email == wanted] or found
    if not found:
        raise BadInput(f"nobody is called {text!r}; see `gpulab users list`")
    if len(found) > 1:
        shown = ", ".join(sorted(one.email or str(one.id) for one in found))
        raise BadInput(f"{len(found)} people are called {text!r}; name one of them by the address or id: {shown}")
    return found[0]


@lab_command(app, "list")
def list_users(
    lab: Lab,
    role: Annotated[str | None, typer.Option(help="student, instructor or admin.")] = None,
    section: Annotated[str | None, typer.Option(help="Only of this section.")] = None,
    team: Annotated[str | None, typer.Option(help="Only of this team.")] = None,
    text: Annotated[str | None, typer.Option(help="Part of the name or the address.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 100,
) -> None:
    """List people."""
    from gpulab.cli.tables import print_table

    found = list(lab.client.people.users(role=role, section=section, team=team, text=text, limit=limit))
    if lab.as_json:
        print_json(found)
        return
    rows = [
        [one.name, one.role, one.email, one.section, one.team, f"{one.weight:g}", "shut out" if one.disabled_at else ""]
        for one in found
    ]
    print_table(["NAME", "ROLE", "EMAIL", "SECTION", "TEAM", "WEIGHT", ""], rows)


@lab_command(app)
def add(
    lab: Lab,
    name: Annotated[str, typer.Argument(help="What they are called in the lab.")],
    role: Annotated[str, typer.Option(help="student, instructor or admin.")] = "student",
    email: Annotated[str | None, typer.Option(help="Their e-mail address.")] = None,
    section: Annotated[str | None, typer.Option(help="Their section.")] = None,
    team: Annotated[str | None, typer.Option(help="Their team.")] = None,
    expires: Expires = None,
) -> None:
    """Let a person in; prints their first token, once."""
    made = lab.client.people.create_user(
        name, role=role, email=email, section=section, team=team, token_expires_at=_aware(expires)
    )
    _show(lab, made, made.token)


@lab_command(app)
def show(lab: Lab, person: Person) -> None:
    """Show one person and what the lab allows them."""
    _show(lab, find(lab, person))


@lab_command(app)
def change(
    lab: Lab,
    person: Person,
    role: Annotated[str | None, typer.Option(help="student, instructor or admin.")] = None,
    email: Annotated[str | None, typer.Option(help="Their address; - takes it away.")] = None,
    section: Annotated[str | None, typer.Option(help="Their section; - takes it away.")] = None,
    team: Annotated[str | None, typer.Option(help="Their team; - takes it away.")] = None,
    weight: Annotated[float | None, typer.Option(help="Share of the lab beside others; 1 is everybody's.")] = None,
    running: Annotated[str | None, typer.Option(help="Jobs at once; - leaves the lab's limit.")] = None,
    queued: Annotated[str | None, typer.Option(help="Jobs waiting; - leaves the lab's limit.")] = None,
    gpu_hours: Annotated[str | None, typer.Option(help="GPU-hours; - leaves the lab's limit.")] = None,
    gib_hours: Annotated[str | None, typer.Option(help="GiB-hours; - leaves the lab's limit.")] = None,
    forget_sign_in: Annotated[
        bool, typer.Option("--forget-sign-in", help="Forget their account at the university; the address counts again.")
    ] = False,
) -> None:
    """Change a person's role, address, section, team, weight or limits."""
    words = {"role": role, "email": email, "section": section, "team": team}
    limits = {"max_running": running, "max_queued": queued, "max_gpu_hours": gpu_hours, "max_gib_hours": gib_hours}
    changes: dict[str, Any] = {name: None if text == NOTHING else text for name, text in words.items() if text}
    changes |= {name: _number(name, text) for name, text in limits.items() if text}
    if weight is not None:
        changes["weight"] = weight
    if forget_sign_in:
        changes["forget_sign_in"] = True
    if not changes:
        raise BadInput("nothing to change; see --help")
    _show(lab, lab.client.people.change_user(find(lab, person).id, **changes))


@lab_command(app)
def disable(lab: Lab, person: Person) -> None:
    """Shut a person out; what they ran stays."""
    _show(lab, lab.client.people.disable_user(find(lab, person).id))


@lab_command(app)
def enable(lab: Lab, person: Person) -> None:
    """Let a person in again."""
    _show(lab, lab.client.people.enable_user(find(lab, person).id))


@lab_command(app)
def audit(
    lab: Lab,
    actor: Annotated[str | None, typer.Option(help="Who: user:NAME, anonymous or operator.")] = None,
    action: Annotated[str | None, typer.Option(help="What: user.created, node.drained, ...")] = None,
    target: Annotated[str | None, typer.Option(help="On what: user:ID, job:ID, node:NAME, ...")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
) -> None:
    """Show who did what, on what, when and from where."""
    from gpulab.cli.tables import print_table

    found = list(lab.client.people.audit(actor=actor, action=action, target=target, limit=limit))
    if lab.as_json:
        print_json(found)
        return
    rows = [[f"{one.at:%Y-%m-%d %H:%M:%S}", one.actor, one.action, one.target, one.address] for one in found]
    print_table(["WHEN (UTC)", "WHO", "WHAT", "ON WHAT", "FROM"], rows)


@lab_command(tokens, "list")
def list_tokens(lab: Lab, user: OfPerson = None) -> None:
    """List tokens: names and first characters, never the tokens."""
    from gpulab.cli.tables import print_table

    found = list(lab.client.people.tokens(None if user is None else find(lab, user).id))
    if lab.as_json:
        print_json(found)
        return
    rows = [
        [str(one.id), one.name, one.prefix, str(one.expires_at or "never"), "revoked" if one.revoked_at else ""]
        for one in found
    ]
    print_table(["TOKEN", "NAME", "BEGINS", "ENDS", ""], rows)


@lab_command(tokens)
def create(
    lab: Lab,
    name: Annotated[str, typer.Argument(help="What it is for: laptop, notebook.")],
    expires: Expires = None,
    user: OfPerson = None,
) -> None:
    """Make a token and print it, once."""
    whose = None if user is None else find(lab, user).id
    made = lab.client.people.create_token(name, expires_at=_aware(expires), user_id=whose)
    if lab.as_json:
        print_json(made)
    else:
        print(made.token)


@lab_command(tokens)
def revoke(
    lab: Lab, token: Annotated[list[str], typer.Argument(metavar="TOKEN...", help="Ids, from `gpulab tokens list`.")]
) -> None:
    """End tokens, and the sessions that they opened."""
    each(lab, token, lambda text: _revoke(lab, text), lambda one: f"{one}  revoked", lambda one: {"id": str(one)})


def _revoke(lab: Lab, text: str) -> UUID:
    try:
        token_id = UUID(text)
    except ValueError:
        raise BadInput(f"{text!r} is not the id of a token; `gpulab tokens list` shows them") from None
    lab.client.people.revoke_token(token_id)
    return token_id


def _show(lab: Lab, person: "UserRead", token: str | None = None) -> None:
    from gpulab.cli.tables import print_facts

    if lab.as_json:
        print_json(person)
        return
    names = ("name", "role", "email", "section", "team", "weight")
    limits = ("max_running", "max_queued", "max_gpu_hours", "max_gib_hours")
    facts: list[tuple[str, Any]] = [("id", person.id), *((name, getattr(person, name)) for name in names)]
    facts += [(name.replace("_", " "), getattr(person, name)) for name in limits]
    print_facts([*facts, ("shut out since", person.disabled_at), ("token", token)])


def _aware(text: str | None) -> datetime | None:
    """A date is the end of that day. Raises BadInput."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{text}T23:59:59" if DATE.fullmatch(text) else text)
    except ValueError:
        moment = None
    if moment is None or text.isdecimal():
        raise BadInput(f"{text!r} is no time; write 2030-01-31, 2030-01-31T18:00 or 2030-01-31T18:00+01:00")
    return moment.astimezone()


def _number(name: str, text: str) -> float | int | None:
    if text == NOTHING:
        return None
    try:
        return float(text) if name.endswith("hours") else int(text)
    except ValueError:
        raise BadInput(f"{name}: a number or - is expected, not {text!r}") from None
