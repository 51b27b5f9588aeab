"""How long to wait before trying again."""

import random
import time
from time import sleep

FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 5.0


def pause(seconds: float) -> None:
    """Every pause of the client, so that tests replace one name."""
    sleep(seconds)


class Backoff:
    """Growing pauses until patience ends; `reset` after a success."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self.reset()

    def reset(self) -> None:
        self._deadline: float | None = None
        self._delay_seconds = FIRST_DELAY_SECONDS

    def next_delay(self, at_least_seconds: float = 0.0) -> float | None:
        """Seconds to wait before the next try, or None if that exceeds the patience."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._patience_seconds
        # Half of the pause is random, so that a class does not come back all at once.
        delay = max(self._delay_seconds * random.uniform(0.5, 1.0), at_least_seconds)
        self._delay_seconds = min(self._delay_seconds * 2, MAX_DELAY_SECONDS)
        return delay if now + delay <= self._deadline else None
