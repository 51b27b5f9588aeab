"""Which worker this is: the same after a restart, another one on a cloned machine."""

import socket
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

ID_FILE = ".worker-id"
MACHINE_FILES = (Path("/etc/machine-id"), Path("/sys/class/dmi/id/product_uuid"))
INTERFACES = Path("/sys/class/net")


def worker_id(runs_folder: Path) -> str:
    """Host, folder and a digest that distinguishes two machines, even if one has a copy of the other's disk."""
    own = runs_folder / ID_FILE
    if not own.exists():
        own.write_text(uuid4().hex, encoding="utf-8")
    folder = str(runs_folder.resolve())
    facts = [
        socket.gethostname(),
        folder,
        own.read_text(encoding="utf-8"),
        *filter(None, map(_text, MACHINE_FILES)),
        *_cards(),
    ]
    return f"{socket.gethostname()}:{folder}#{sha256(chr(10).join(facts).encode()).hexdigest()[:12]}"


def _cards() -> list[str]:
    """Addresses of the network cards that are hardware; virtual ones come and go with containers."""
    try:
        cards = sorted(card for card in INTERFACES.iterdir() if (card / "device").exists())
    except OSError:
        return []
    return [_text(card / "address") for card in cards]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
