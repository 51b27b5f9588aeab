"""Sends a message by SMTP."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate

from models.settings import ReachingSettings
from scheduler.notifications.errors import DeliveryError
from scheduler.notifications.words import Message

TIMEOUT_SECONDS = 10.0
USUAL_PORTS = {"starttls": 587, "tls": 465, "none": 25}
MAX_ANSWER_CHARACTERS = 200


def send(settings: ReachingSettings, to: str, message: Message, *, key: str) -> None:
    """`key` is the same for a message that is sent again. Raises `DeliveryError`."""
    try:
        mail = written(settings, to, message, key=key)
        with _connected(settings) as server:
            if settings.mail_user is not None and settings.mail_password_file is not None:
                server.login(settings.mail_user, settings.mail_password_file.read_text(encoding="utf-8").strip())
            server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        code, answer = next(iter(error.recipients.values()))
        words = answer.decode(errors="replace")[:MAX_ANSWER_CHARACTERS]
        reason = f"the mail server refuses a user's address: {code}"
        raise DeliveryError(f"the mail server refuses your address: {code} {words}", reason=reason) from None
    except smtplib.SMTPResponseException as error:
        reason = f"the mail server answered {error.smtp_code} ({type(error).__name__})"
        raise DeliveryError(reason) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        # Its text may name addresses.
        reason = f"mail could not be sent: {getattr(error, 'strerror', None) or type(error).__name__}"
        raise DeliveryError(reason) from None


def written(settings: ReachingSettings, to: str, message: Message, *, key: str) -> EmailMessage:
    """Plain text."""
    mail = EmailMessage()
    sender = str(settings.mail_sender)
    mail["From"], mail["To"], mail["Subject"] = sender, to, f"[gpulab] {message.subject}"
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{key}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    account = "" if settings.public_url is None else f": {settings.public_url.rstrip('/')}/account"
    parts = [message.text, message.link, f"-- \nYou turned on these messages in your gpulab account{account}"]
    mail.set_content("\n\n".join(filter(None, parts)) + "\n")
    return mail


def _connected(settings: ReachingSettings) -> smtplib.SMTP:
    host = str(settings.mail_host)
    port = settings.mail_port or USUAL_PORTS[settings.mail_security]
    if settings.mail_security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
    server = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    if settings.mail_security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server
