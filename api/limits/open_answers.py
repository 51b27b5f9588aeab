"""How many answers stay open at once: streams and requests held by `?wait=`, of one user and of all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from api.http.problems import TooManyOpen, TooManyStreams

RETRY_AFTER_SECONDS = 5


class OpenAnswers:
    """Of one API process. A user who takes none is never in anybody's way."""

    def __init__(self, *, of_all: int, of_user: int) -> None:
        self._of_all = of_all
        self._of_user = of_user
        self._taken: Counter[UUID] = Counter()

    @contextmanager
    def taken(self, user_id: UUID) -> Iterator[None]:
        """For as long as an answer stays open. Raises `TooManyOpen`, `TooManyStreams`."""
        if self._taken[user_id] >= self._of_user:
            raise TooManyOpen(
                f"you have {self._of_user} streams and held requests open, which is the limit of one user; close some",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        if self._taken.total() >= self._of_all:
            raise TooManyStreams(
                f"at most {self._of_all} streams and held requests may be open; poll, or try again later"
            )
        self._taken[user_id] += 1
        try:
            yield
        finally:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]
