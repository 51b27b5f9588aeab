"""Names: which pass as they are, which take another form, and what is refused and by which name."""

import pytest
from pydantic import TypeAdapter, ValidationError

from gpulab import names
from gpulab.cli.tables import printable
from gpulab.schemas.base import Line

AS_THEY_ARE = [
    "Ada Lovelace",
    "Łukasz Żółć",
    "Nguyễn Thị Minh Khai",
    "O’Connor-D'Arcy, Jr.",
    "王伟",
    "علی\N{ZERO WIDTH NON-JOINER}رضا",
    "ශ්\N{ZERO WIDTH JOINER}රී ලංකා",
    "നന്\N{ZERO WIDTH JOINER}",
    "क्\N{ZERO WIDTH NON-JOINER}ष",
    "葛\N{VARIATION SELECTOR-17}城",
    "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER} lab",
    "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
    "שרה כהן",
    "Step 1\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}",
    "\N{LEFT RIGHT ARROW}\N{VARIATION SELECTOR-16} \N{DOUBLE EXCLAMATION MARK}\N{VARIATION SELECTOR-16}",
    "\N{WAVING BLACK FLAG}\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\N{CANCEL TAG} lab",
    "\U00031350 of a newer Unicode",
]
OTHER_FORMS = {
    "山田\N{IDEOGRAPHIC SPACE}太郎": "山田 太郎",
    "Ada\N{NO-BREAK SPACE}Lovelace": "Ada Lovelace",
    "Jean\N{NARROW NO-BREAK SPACE}\N{THIN SPACE} Luc": "Jean Luc",
    "\N{EM SPACE}Zoe\N{COMBINING DIAERESIS}  Q ": "Zoë Q",
}
REFUSED = {
    "Ada\N{RIGHT-TO-LEFT OVERRIDE}evil": "U+202E RIGHT-TO-LEFT OVERRIDE at place 4",
    "A\N{POP DIRECTIONAL ISOLATE}": "U+2069 POP DIRECTIONAL ISOLATE at place 2",
    "Ad\x07a": "U+0007 control character at place 3",
    "Ad\x9ba": "U+009B control character at place 3",
    "A\nB": "U+000A control character at place 2",
    "\N{ZERO WIDTH NO-BREAK SPACE}Ada": "U+FEFF ZERO WIDTH NO-BREAK SPACE at place 1",
    "Ada\N{ZERO WIDTH SPACE}": "U+200B ZERO WIDTH SPACE at place 4",
    "A\N{SOFT HYPHEN}da": "U+00AD SOFT HYPHEN at place 2",
    "Ada\N{TAG LATIN SMALL LETTER A}": "U+E0061 TAG LATIN SMALL LETTER A at place 4",
    "Ad\N{ZERO WIDTH JOINER}a": "U+200D ZERO WIDTH JOINER at place 3",
    "Ad\N{VARIATION SELECTOR-1}a": "U+FE00 VARIATION SELECTOR-1 at place 3",
    "\N{HANGUL FILLER}": "U+3164 HANGUL FILLER at place 1",
    "Jos\N{REPLACEMENT CHARACTER}": "U+FFFD REPLACEMENT CHARACTER at place 4",
    "\N{COMBINING ACUTE ACCENT}\N{COMBINING RING ABOVE}": "U+0301 COMBINING ACUTE ACCENT at place 1",
    "1\N{VARIATION SELECTOR-16}": "U+FE0F VARIATION SELECTOR-16 at place 2",
    "\N{WAVING BLACK FLAG}\U000e0067\U000e0062": "U+E0067 TAG LATIN SMALL LETTER G at place 2",
    "A\N{LINE SEPARATOR}B": "U+2028 LINE SEPARATOR at place 2",
}


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_names_of_the_world_pass_as_they_are(name: str) -> None:
    assert names.checked(name) == name == names.cleaned(name) == printable(name)


@pytest.mark.parametrize("given", OTHER_FORMS)
def test_names_take_one_form(given: str) -> None:
    assert names.checked(given) == OTHER_FORMS[given] == names.cleaned(given)


@pytest.mark.parametrize("given", REFUSED)
def test_what_nobody_sees_is_refused_by_name_and_cleaned_away(given: str) -> None:
    with pytest.raises(ValueError, match=r"U\+") as refused:
        names.checked(given)
    assert REFUSED[given] in str(refused.value)
    cleaned = names.cleaned(given)
    assert names.cleaned(cleaned) == cleaned == names.checked(cleaned)
    assert "\N{REPLACEMENT CHARACTER}" in printable(given)


def test_words_stay_apart_when_a_name_is_cleaned() -> None:
    assert names.cleaned("Ada\t\N{RIGHT-TO-LEFT OVERRIDE}King\nLovelace\x00") == "Ada King Lovelace"


def test_every_line_of_the_wire_takes_the_one_form() -> None:
    line = TypeAdapter(Line)
    assert line.validate_python("山田\N{IDEOGRAPHIC SPACE}太郎") == "山田 太郎"
    with pytest.raises(ValidationError, match=r"RIGHT-TO-LEFT OVERRIDE at place 4"):
        line.validate_python("Ada\N{RIGHT-TO-LEFT OVERRIDE}")
    assert line.validate_python("e\N{COMBINING ACUTE ACCENT}" * 150) == "é" * 150
    with pytest.raises(ValidationError, match="at most 200 characters"):
        line.validate_python("é" * 201)
    with pytest.raises(ValidationError, match="at least 1 character"):
        line.validate_python("\N{IDEOGRAPHIC SPACE}")
