"""Names of the world: one form of each, and nothing in them that cannot be seen.

Every name of the lab comes through here, of people, jobs, studies, assignments, sections, teams and nodes. A name from
a table or a request is refused with the character's own name; one that a university's sign-in sends is cleaned.
"""

import re
import unicodedata
from collections.abc import Iterator

JOINERS = frozenset("\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{MONGOLIAN VOWEL SEPARATOR}")
_SCRIPTS = (
    "ARABIC SYRIAC NKO MANDAIC MONGOLIAN PHAGS-PA DEVANAGARI BENGALI GURMUKHI GUJARATI ORIYA TAMIL TELUGU KANNADA"
    " MALAYALAM SINHALA TIBETAN MYANMAR KHMER THAI LAO BALINESE JAVANESE SUNDANESE MEETEI CHAKMA ADLAM HANIFI"
)
JOINED_SCRIPTS = frozenset(_SCRIPTS.split())
"""Scripts in which a joiner changes how a name is written. In others it is invisible."""
PICTURES = frozenset({"So", "Sk"})
SIGNS = PICTURES | {"Sm", "Po", "Pd"}
"""Some of them are pictures when a selector follows: an arrow, two exclamation marks."""
KEYCAPS = frozenset("0123456789#*")
MARKS = frozenset({"Mn", "Me"})
FLAG = re.compile("\N{WAVING BLACK FLAG}[\U000e0061-\U000e007a\U000e0030-\U000e0039]{3,6}\N{CANCEL TAG}")
"""Of a region, such as Scotland: letters that are seen only there."""
UNSEEN = frozenset(
    "\N{COMBINING GRAPHEME JOINER}\N{HANGUL CHOSEONG FILLER}\N{HANGUL JUNGSEONG FILLER}\N{HANGUL FILLER}"
    "\N{HALFWIDTH HANGUL FILLER}\N{KHMER VOWEL INHERENT AQ}\N{KHMER VOWEL INHERENT AA}\N{BRAILLE PATTERN BLANK}"
    "\N{REPLACEMENT CHARACTER}\N{OBJECT REPLACEMENT CHARACTER}"
)
"""Printable by their category, yet blank, or what is left of a character that was lost."""
MAX_COMPOSED_CHARACTERS = 1000
UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def checked(text: str) -> str:
    """The name in its one form. Raises `ValueError`, which names the first character that is not allowed in a name."""
    for place, character in _useless(text):
        raise ValueError(f"the character {called(character)} at place {place + 1} is not allowed in a name")
    return _one_form(text)


def checked_lines(text: str) -> str:
    """Text over several lines, held to the same rule; blanks within it stay. Raises `ValueError`."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, 1):
        for place, character in _useless(line.replace("\t", " ")):
            where = f"at place {place + 1} of line {number}"
            raise ValueError(f"the character {called(character)} {where} is not allowed in a text")
    return "\n".join(map(composed, lines)).strip()


def cleaned(text: str) -> str:
    """The name in its one form, without what has no use in it."""
    useless = {place for place, _ in _useless(text)}
    # A tab or the end of a line stands between words.
    kept = (
        " " if character.isspace() else "" if place in useless else character for place, character in enumerate(text)
    )
    return _one_form("".join(kept))


def shown(text: str) -> str:
    """One line for a terminal: U+FFFD stands for what could steer it or would not be seen."""
    useless = {place for place, _ in _useless(text)}
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if place in useless else character for place, character in enumerate(text)
    )


def called(character: str) -> str:
    """`U+202E RIGHT-TO-LEFT OVERRIDE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'control character')}"


def composed(text: str) -> str:
    """In NFC, except for what is too long for a name: composing takes the square of the marks on one letter."""
    return unicodedata.normalize("NFC", text) if len(text) <= MAX_COMPOSED_CHARACTERS else text


def address_form(text: str) -> str:
    """An e-mail address as the lab keeps it. Case folding would make another address of `straße@uni.example`."""
    return _one_form(text).lower()


def _one_form(text: str) -> str:
    """Composed, with one blank between words."""
    return " ".join(composed(text).split())


def _useless(text: str) -> Iterator[tuple[int, str]]:
    """Place and character of an invisible character in a name."""
    if text.isascii() and text.isprintable():
        return
    tags = {place for found in FLAG.finditer(text) for place in range(*found.span())}
    base = next((place for place, character in enumerate(text) if unicodedata.category(character) not in MARKS), None)
    for place, character in enumerate(text):
        on_nothing = base is None or place < base
        seen = _has_use(character, text[max(place - 1, 0) : place], text[place + 1 : place + 2])
        if on_nothing or not (seen or place in tags):
            yield place, character


def _has_use(character: str, before: str, after: str) -> bool:
    if character in JOINERS:
        return _joins(before, after)
    if _selects_variant(character):
        return before != "" and _has_variants(before, after)
    if character in UNSEEN or _is_noncharacter(character):
        return False
    return unicodedata.category(character) not in UNSEEN_CATEGORIES


def _joins(before: str, after: str) -> bool:
    """Whether a joiner here is seen: in a script that joins its letters, and within a picture made of several."""
    if before == "":
        return False
    if unicodedata.name(before, "").split(" ")[0] in JOINED_SCRIPTS:
        return True
    return after != "" and (unicodedata.category(before) in PICTURES or _selects_variant(before))


def _selects_variant(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def _has_variants(character: str, after: str) -> bool:
    """Ideographs, which names write in variants, pictures, and the digits of keycaps."""
    if character in KEYCAPS:
        return after == "\N{COMBINING ENCLOSING KEYCAP}"
    name = unicodedata.name(character, "")
    return name.startswith("CJK ") or name == "INFORMATION SOURCE" or unicodedata.category(character) in SIGNS


def _is_noncharacter(character: str) -> bool:
    """Of those without a category, letters of a newer Unicode pass; what will never be a letter does not."""
    code = ord(character)
    ignorable = code == 0x2065 or 0xFFF0 <= code <= 0xFFF8 or 0xE0000 <= code <= 0xE0FFF
    return ignorable or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
