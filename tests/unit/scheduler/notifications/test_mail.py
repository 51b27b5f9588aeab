"""Mail, against a server that speaks SMTP."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from models.settings import SchedulerSettings
from scheduler.notifications import mail
from scheduler.notifications.errors import DeliveryError
from scheduler.notifications.words import Message
from tests.fakes.mail_server import MailServer, mail_server

MESSAGE = Message("digest", "2 runs ended", ("- Your run a succeeded", "- Your run ü succeeded"), "https://lab/jobs")


def settings(server: MailServer, **more: Any) -> SchedulerSettings:
    given = {"mail_host": "127.0.0.1", "mail_port": server.port, "mail_security": "none", **more}
    return SchedulerSettings(
        database_url="postgresql://",
        redis_url="redis://",
        artifacts_url="file:///x",
        mail_sender="lab@example.edu",
        **given,
    )


def test_a_message_arrives_as_plain_text_with_its_link() -> None:
    with mail_server() as server:
        mail.send(settings(server, public_url="https://lab"), "ada@example.edu", MESSAGE, key="abc")
    [(recipient, found)] = server.taken
    assert recipient == "ada@example.edu"
    assert found["Subject"] == "[gpulab] 2 runs ended"
    assert (found["From"], found["To"]) == ("lab@example.edu", "ada@example.edu")
    assert found["Message-ID"] == "<abc@example.edu>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found.get_content_type() == "text/plain"
    text = found.get_content().replace("\r\n", "\n")
    assert "- Your run ü succeeded" in text
    assert "\n\nhttps://lab/jobs\n\n" in text
    assert "https://lab/account" in text


def test_it_signs_in_with_the_password_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("horse\n")
    with mail_server() as server:
        signed = settings(server, mail_user="lab", mail_password_file=tmp_path / "password")
        mail.send(signed, "ada@example.edu", MESSAGE, key="abc")
    assert server.logins == [b64encode(b"\0lab\0horse").decode()]
    assert len(server.taken) == 1


def test_a_refused_address_is_said_to_the_user_and_not_to_the_log() -> None:
    with mail_server(refuse="550 no ada@example.edu here") as server, pytest.raises(DeliveryError) as refused:
        mail.send(settings(server), "ada@example.edu", MESSAGE, key="abc")
    assert "550 no ada@example.edu here" in str(refused.value)
    assert refused.value.reason == "the mail server refuses a user's address: 550"


def test_no_mail_goes_out_unencrypted_unless_the_operator_said_so() -> None:
    with mail_server() as server, pytest.raises(DeliveryError):
        mail.send(settings(server, mail_security="starttls"), "ada@example.edu", MESSAGE, key="abc")
    assert server.taken == []


def test_a_server_that_is_away_is_a_failure_of_the_delivery() -> None:
    with mail_server() as server:
        gone = settings(server)
    with pytest.raises(DeliveryError, match="mail could not be sent"):
        mail.send(gone, "ada@example.edu", MESSAGE, key="abc")


@pytest.mark.parametrize("missing", [{"mail_sender": None}, {"mail_user": "lab"}])
def test_half_a_setup_is_refused_at_the_start(missing: dict[str, Any]) -> None:
    given: dict[str, Any] = {"mail_host": "mail.example.edu", "mail_sender": "lab@example.edu", **missing}
    with pytest.raises(ValueError, match="GPULAB_MAIL_"):
        SchedulerSettings(database_url="postgresql://", redis_url="redis://", artifacts_url="file:///x", **given)
