"""The answer that an export is sent with: it holds the export's turn, and not for ever."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.http.problems import AnswerCutOff


class ExportResponse(StreamingResponse):
    """Gives the turn back when all is sent, when the reader has left, or when the time is up."""

    def __init__(
        self, pieces: AsyncGenerator[bytes], turn: AsyncExitStack, *, seconds: float, headers: Mapping[str, str]
    ) -> None:
        super().__init__(pieces, headers=headers, media_type="application/zip")
        self._pieces = pieces
        self._turn = turn
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._turn, aclosing(self._pieces):
            try:
                async with asyncio.timeout(self._seconds):
                    await super().__call__(scope, receive, send)
            except TimeoutError:
                raise AnswerCutOff(f"an export took more than {self._seconds:g} s") from None
