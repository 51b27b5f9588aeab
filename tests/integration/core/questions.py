"""Questions about memory, as tests put them."""

import json
from typing import Any

from models.statements.memory import estimates


def put(question: dict[str, Any]) -> Any:
    """The statement that puts one question."""
    return estimates.ask(json.loads(json.dumps([question], default=str)))
