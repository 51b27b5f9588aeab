"""Files that commands write."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gpulab.cli.failures import BadInput


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """A new file for its owner alone; gone again where nothing was written to it. Raises `BadInput`, `OSError`.

    Make it before what is to be written, which may be shown only once.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadInput(f"{path} already exists: name a new file") from None
    with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
        try:
            yield file
        finally:
            if file.tell() == 0:
                path.unlink()
