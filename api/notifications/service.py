"""A user's choice of notifications. They are off until the user turns them on."""

from urllib.parse import urlsplit

from api.auth.principal import Principal
from api.context import App
from api.http.problems import ChannelNotFound, InvalidRequest
from api.notifications import statements
from api.sql.database import Row
from gpulab.schemas.notifications import ChannelOrder, ChannelRead, NotificationsRead, NotificationsUpdate
from gpulab.states import Channel, NotificationKind
from models.settings import known_zone

NO_MAIL = "This lab sends no mail."
NO_ADDRESS = "You have no email address in the lab. Ask your instructor to add it."


async def read(app: App, principal: Principal) -> NotificationsRead:
    user = await app.database.row(statements.user, user_id=principal.id)
    assert user is not None  # noqa: S101 - they are signed in
    found = {row.channel: row for row in await app.database.rows(statements.of, user_id=principal.id)}
    webhook = found.get(Channel.WEBHOOK)
    return NotificationsRead(
        mail=_channel(found.get(Channel.MAIL), user.email, _no_mail(app, user)),
        webhook=_channel(webhook, webhook and masked(webhook.webhook_url), None),
        time_zone=user.time_zone or app.settings.time_zone,
    )


async def change(app: App, principal: Principal, order: NotificationsUpdate) -> NotificationsRead:
    """Raises `InvalidRequest`."""
    if order.time_zone is not None:
        await _set_time_zone(app, principal, order.time_zone)
    if order.mail is not None:
        await _change_mail(app, principal, order.mail)
    if order.webhook is not None:
        await _change_webhook(app, principal, order.webhook)
    return await read(app, principal)


async def ask_for_test(app: App, principal: Principal, channel: Channel) -> NotificationsRead:
    """Raises `ChannelNotFound` where the channel is off."""
    found = await app.database.rows(statements.of, user_id=principal.id)
    if channel not in {row.channel for row in found}:
        raise ChannelNotFound(f"turn on the channel {channel.value} first")
    await app.database.row(statements.ask_for_test, user_id=principal.id, channel=channel.value)
    return await read(app, principal)


async def _set_time_zone(app: App, principal: Principal, name: str) -> None:
    try:
        known_zone(name)
    except ValueError as error:
        raise InvalidRequest.of("time_zone", str(error), value=name) from None
    await app.database.execute(statements.set_time_zone, user_id=principal.id, time_zone=name)


async def _change_mail(app: App, principal: Principal, order: ChannelOrder) -> None:
    user = await app.database.row(statements.user, user_id=principal.id)
    if order.webhook_url is not None:
        raise InvalidRequest.of("mail.webhook_url", "mail goes to your email address")
    if order.kinds and (why := _no_mail(app, user)) is not None:
        raise InvalidRequest.of("mail.kinds", why)
    await _set(app, principal, Channel.MAIL, order, None)


async def _change_webhook(app: App, principal: Principal, order: ChannelOrder) -> None:
    url = order.webhook_url
    if url is None and order.kinds:
        found = await app.database.rows(statements.of, user_id=principal.id)
        url = next((row.webhook_url for row in found if row.channel == Channel.WEBHOOK), None)
        if url is None:
            raise InvalidRequest.of("webhook.webhook_url", "name the address to send to")
    await _set(app, principal, Channel.WEBHOOK, order, url)


async def _set(app: App, principal: Principal, channel: Channel, order: ChannelOrder, url: str | None) -> None:
    if not order.kinds:
        await app.database.execute(statements.turn_off, user_id=principal.id, channel=channel.value)
        return
    kinds = [kind.value for kind in NotificationKind if kind in order.kinds]
    await app.database.execute(
        statements.set_up, user_id=principal.id, channel=channel.value, kinds=kinds, webhook_url=url
    )


def masked(url: str) -> str:
    """Whose it is, without the part that lets one post there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def _no_mail(app: App, user: Row) -> str | None:
    if app.settings.mail_host is None:
        return NO_MAIL
    return None if user.email else NO_ADDRESS


def _channel(row: Row | None, address: str | None, unavailable: str | None) -> ChannelRead:
    return ChannelRead(
        kinds=[] if row is None else [NotificationKind(kind) for kind in row.kinds],
        address=address,
        unavailable=unavailable,
        waiting=0 if row is None else row.waiting,
        given_up=0 if row is None else row.given_up,
        last_sent_at=row and row.last_sent_at,
        last_error=row and row.last_error,
        last_error_at=row and row.last_error_at,
    )
