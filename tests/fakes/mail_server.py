"""A mail server of the loopback, which keeps what it takes."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    port: int = 0
    refuse: str | None = None
    """Answered to RCPT in the place of 250."""
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    """Recipient and message."""
    logins: list[str] = field(default_factory=list)


@contextmanager
def mail_server(refuse: str | None = None) -> Iterator[MailServer]:
    state = MailServer(refuse=refuse)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 test ESMTP")
            recipient = ""
            while line := self.rfile.readline().decode().strip():
                word = line.split()[0].upper()
                if word == "EHLO":
                    self.wfile.write(b"250-test\r\n250 AUTH PLAIN\r\n")
                elif word == "AUTH":
                    state.logins.append(line.split()[-1])
                    self.say("235 ok")
                elif word == "RCPT":
                    recipient = line.partition(":")[2].strip("<>")
                    self.say(state.refuse or "250 ok")
                elif word == "DATA":
                    self.say("354 go on")
                    state.taken.append((recipient, self.read_message()))
                    self.say("250 ok")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def read_message(self) -> EmailMessage:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b"."))
            found = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(found, EmailMessage)
            return found

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
