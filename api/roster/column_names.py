"""Which column of a roster is what: the lab's own headings, and those of Canvas, Moodle, Gradescope and GitHub."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.http.problems import shortened
from gpulab.names import composed
from gpulab.schemas import InvalidField

FIELDS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "fullname", "displayname", "studentname", "vollständigername", "nomcomplet", "nombrecompleto"),
    "student": ("student", "studierende", "studierender", "étudiant", "estudiante"),
    "first": ("firstname", "givenname", "forename", "first", "vorname", "vornamen", "prénom", "nombre", "nome"),
    "last": (
        *("lastname", "surname", "familyname", "last", "nachname", "familienname", "nom", "nomdefamille"),
        *("apellido", "apellidos", "cognome"),
    ),
    "email": (
        *("email", "emailaddress", "mail", "studentemail", "sisloginid", "loginid", "identifier"),
        *("emailadresse", "adressedecourriel", "courriel", "direccióndecorreo", "correo", "indirizzoemail"),
    ),
    "section": ("section", "sections", "abschnitt"),
    "team": ("team",),
    "login": ("githubusername",),
    "role": ("role", "roles", "rolle", "rollen", "rôle", "rôles", "rol", "ruoli"),
}
"""Headings without case, blanks and signs, in several languages; of several in one table, the first here counts."""
LOGINS = frozenset({"sisloginid", "loginid", "identifier"})
"""Columns of email that hold a login at some universities."""
MARKS = "\u200b\u200e\u200f\u061c\u2060\ufeff \t\r\n\u00a0"
"""What spreadsheets leave at the ends of a cell: marks of direction, and others that nobody sees."""
NAMED_BY = ("name", "student", "first", "last")
USABLE = "use name and email, and optionally section and team"


@dataclass(frozen=True, slots=True)
class Columns:
    """The place of each field's column, the headings as they stand in the table, and what nobody looks at."""

    at: Mapping[str, int]
    headings: Sequence[str]
    ignored: Sequence[str]

    def value(self, cells: Sequence[str], field: str) -> str:
        """The cell in one line; empty where the table, or a short row, has none."""
        place = self.at.get(field)
        return " ".join(cells[place].strip(MARKS).split()) if place is not None and place < len(cells) else ""

    def heading(self, field: str) -> str:
        """What the table calls it."""
        if field == "name":
            field = next((part for part in NAMED_BY if part in self.at), field)
        return self.headings[self.at[field]].strip() if field in self.at else field

    @property
    def given(self) -> frozenset[str]:
        """Fields that the table speaks of."""
        return frozenset({"name", "email", *(field for field in ("section", "team") if field in self.at)})


def read(line: int, headings: Sequence[str]) -> tuple[Columns, list[InvalidField]]:
    """The columns, and what is wrong with the heading."""
    keys = [key_of(heading) for heading in headings]
    at: dict[str, int] = {}
    errors: list[InvalidField] = []
    for field, names in FIELDS.items():
        name = next((name for name in names if name in keys), None)
        if name is None:
            continue
        at[field] = keys.index(name)
        if keys.count(name) > 1:
            message = "this column appears twice; remove one of them"
            errors.append(InvalidField(path=f"csv.{line}", message=message, value=shortened(headings[at[field]])))
    named = any(field in at for field in NAMED_BY) or "login" in at
    for field, found in (("name", named), ("email", "email" in at)):
        if not found:
            errors.append(_missing(line, field, headings))
    ignored = [
        heading.strip() for place, heading in enumerate(headings) if place not in at.values() and heading.strip()
    ]
    return Columns(at, headings, ignored), errors


def _missing(line: int, field: str, headings: Sequence[str]) -> InvalidField:
    shown = ", ".join(heading.strip() for heading in headings if heading.strip())
    message = (
        f"the heading has no column {field} (it has: {shortened(shown or 'nothing')}); {USABLE}; "
        "the first line must be the heading"
    )
    return InvalidField(path=f"csv.{line}", message=message, limit={"enum": ["name", "email", "section", "team"]})


def key_of(heading: str) -> str:
    return re.sub(r"\(s\)|[\W_]+", "", composed(heading)).casefold()
