"""Webhooks: what is sent, and where they may not lead."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from scheduler.notifications import webhook
from scheduler.notifications.errors import DeliveryError
from scheduler.notifications.words import Message

MESSAGE = Message("failed", "Your run a failed", (), "https://lab/jobs/1")


@contextmanager
def serving(status: int = 200, location: str | None = None) -> Iterator[tuple[str, list[Any]]]:
    heard: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.path, json.loads(body), self.headers["Idempotency-Key"], self.headers["Host"]))
            self.send_response(status)
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(url: str, *, private: bool = True) -> None:
    webhook.post(url, MESSAGE, key="k", private_networks=private)


def test_text_link_and_kind_arrive_as_chat_programs_read_them() -> None:
    with serving() as (address, heard):
        post(f"{address}/hooks/T0/abc?wait=true")
    [(path, body, key, host)] = heard
    assert (path, key) == ("/hooks/T0/abc?wait=true", "k")
    assert host == address.removeprefix("http://")
    assert body["text"] == body["content"] == "Your run a failed\nhttps://lab/jobs/1"
    assert (body["link"], body["kind"]) == ("https://lab/jobs/1", "failed")


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 410, 500])
def test_no_redirect_is_followed_and_only_success_counts(status: int) -> None:
    with serving() as (inner, never), serving(status, f"{inner}/inside") as (address, heard):
        with pytest.raises(DeliveryError, match=f"answered with status {status}"):
            post(f"{address}/secret-path")
        assert len(heard) == 1
        assert never == []


def test_a_private_address_is_refused_before_anything_is_sent() -> None:
    with serving() as (address, heard):
        with pytest.raises(DeliveryError, match="must be a public one"):
            post(address, private=False)
        assert heard == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"],
)
def test_every_way_to_write_this_machine_is_refused(host: str) -> None:
    with pytest.raises(DeliveryError, match="must be a public one"):
        post(f"http://{host}:1/", private=False)


def test_an_unknown_name_is_refused_in_the_words_of_a_private_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DeliveryError, match=r"inside\.example has no address that a webhook may lead to"):
        post("http://inside.example/", private=False)


def test_a_name_is_resolved_once_and_the_connection_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers with a public address first and with a private one later leads nowhere."""
    answers: list[Callable[[], str]] = [lambda: "93.184.215.14", lambda: "127.0.0.1"]
    asked: list[str] = []
    connected: list[Any] = []

    def resolve(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (answers[len(asked) - 1](), port))]

    def connect(_: socket.socket, address: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(DeliveryError, match="Connection refused"):
        post("http://rebinding.example/", private=False)
    assert asked == ["rebinding.example"]
    assert connected == [("93.184.215.14", 80)]


@pytest.mark.parametrize(
    ("address", "outside", "inside"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:220:1::1", True, True),
        ("10.1.2.3", False, True),
        ("172.16.0.1", False, True),
        ("192.168.1.1", False, True),
        ("100.64.0.1", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("fd00::1", False, True),
        ("::ffff:10.0.0.1", False, True),
        ("::10.0.0.1", False, True),
        ("64:ff9b::a00:1", False, True),
        ("2002:a00:1::", False, True),
        ("::ffff:93.184.215.14", True, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("2002:a9fe:a9fe::", False, False),
        ("fe80::1", False, False),
        ("fe80::1%eth0", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - a case
        ("::", False, False),
        ("255.255.255.255", False, False),
    ],
)
def test_where_a_webhook_may_lead(address: str, outside: bool, inside: bool) -> None:
    assert webhook.may_connect(address, private_networks=False) is outside
    assert webhook.may_connect(address, private_networks=True) is inside


def test_a_server_that_drips_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TOTAL_SECONDS", 0.3)
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            try:
                while not stop.wait(0.02):
                    connection.sendall(b"X-More: 1\r\n")
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=[listener])
        thread.start()
        try:
            with pytest.raises(DeliveryError, match=r"no answer within 0\.3 s"):
                post(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        finally:
            stop.set()
            thread.join()


def test_no_error_tells_the_path_of_the_address() -> None:
    with serving(500) as (address, _), pytest.raises(DeliveryError) as refused:
        post(f"{address}/T0/very-secret")
    assert "very-secret" not in f"{refused.value} {refused.value.reason}"
    assert "localhost" not in refused.value.reason
