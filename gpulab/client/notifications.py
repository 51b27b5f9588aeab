"""`Client.notifications`: what the lab sends you by mail and webhook."""

from collections.abc import Sequence

from gpulab.client.submission import given
from gpulab.client.transport.http import Http, path_of
from gpulab.schemas.notifications import NotificationsRead
from gpulab.states import Channel, NotificationKind

HERE = path_of("me", "notifications")


class Notifications:
    """Messages by mail and webhook about your runs and deadlines. They are off until you turn them on."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self) -> NotificationsRead:
        """Which messages you get, how they arrive, and what could not be delivered."""
        return self._http.get(NotificationsRead, HERE)

    def set(
        self,
        channel: Channel | str,
        kinds: Sequence[NotificationKind | str],
        *,
        webhook_url: str | None = None,
        time_zone: str | None = None,
    ) -> NotificationsRead:
        """Choose what to send by `mail` or `webhook`: `ended`, `failed`, `waiting`, `deadline`; nothing turns it off.

        `webhook_url` is needed the first time. It takes JSON with `text` and `content`, as Slack, Mattermost and
        Discord do, and is never shown again. Raises InvalidRequest.
        """
        order = given(kinds=[str(kind) for kind in kinds], webhook_url=webhook_url)
        body = given(**{str(channel): order}, time_zone=time_zone)
        return self._http.change(NotificationsRead, "PATCH", HERE, body)

    def test(self, channel: Channel | str) -> NotificationsRead:
        """Send yourself a test message; at most one a minute."""
        answer = self._http.send("POST", path_of("me", "notifications", str(channel), "test"))
        return self._http.parse(NotificationsRead, answer)
