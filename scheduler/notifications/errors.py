"""Why a message was not delivered."""


class DeliveryError(Exception):
    """Said to the user it was for. `reason` is for the operator's log: it names no user and no path of an address."""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or message
