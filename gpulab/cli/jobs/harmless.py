"""A program's output on a user's terminal: its colours, and nothing that does more than colour text."""

import re

RESET = "\x1b[0m"

# The one-character forms of the introducers; a terminal may take them for the same.
_C1 = {0x90: "\x1bP", 0x98: "\x1bX", 0x9B: "\x1b[", 0x9C: "\x1b\\", 0x9D: "\x1b]", 0x9E: "\x1b^", 0x9F: "\x1b_"}
_WITHOUT_C1 = {code: _C1.get(code, "") for code in range(0x80, 0xA0)}

_CODE = re.compile(
    r"(?P<colour>\x1b\[[0-9;:]*m)"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"
    # A string (a title, a link, the clipboard) that is not ended ends with its line.
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f]"
)
# What the next piece may go on with. Of a string only its beginning matters: its content is dropped.
_UNFINISHED = re.compile(r"(?P<start>\x1b[\]PX^_])[^\x07\x1b\n]*(?P<end>\x1b?)\Z|\x1b(?:\[[0-?]*[ -/]*|[ -/]*)\Z")
_MAX_CODE_CHARACTERS = 256


class HarmlessText:
    """Pieces of output, each as it may be written to a terminal. A code may be split between pieces."""

    def __init__(self) -> None:
        self._held = ""
        self._colored = False

    def feed(self, piece: str) -> str:
        """The piece without what is dangerous; its unfinished end waits for the next piece."""
        text = self._held + piece.translate(_WITHOUT_C1)
        self._held = ""
        if unfinished := _UNFINISHED.search(text):
            text = text[: unfinished.start()]
            held = (unfinished["start"] or "") + (unfinished["end"] or "") or unfinished.group()
            self._held = held if len(held) <= _MAX_CODE_CHARACTERS else ""
        return _CODE.sub(self._replaced, text)

    def end(self) -> str:
        """What puts the terminal's colours back."""
        return RESET if self._colored else ""

    def _replaced(self, code: re.Match[str]) -> str:
        self._colored = self._colored or code["colour"] is not None
        return code["colour"] or ""
