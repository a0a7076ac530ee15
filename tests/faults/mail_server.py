"""The mail server of a fault run: it can be stopped and started, and remembers the mails it accepted."""

import socket
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from email import message_from_bytes, policy

from tests.background_server import background_server
from tests.mail import Sink, listening, plain


@dataclass(frozen=True, slots=True)
class Mail:
    recipient: str
    message_id: str
    subject: str


class FaultyMailServer:
    """Keeps its port, also while it is stopped."""

    def __init__(self) -> None:
        self.sink = Sink()
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self._port: int = self._reserved.getsockname()[1]
        self._running = ExitStack()
        self._mails: list[Mail] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port}?tls=none"

    def start(self) -> None:
        self._running.enter_context(background_server(lambda: listening(plain(self.sink), port=self._port)))

    def stop(self) -> None:
        self._running.close()

    def release_port(self) -> None:
        self.stop()
        self._reserved.close()

    def mails(self) -> list[Mail]:
        """Every mail accepted, in order; a doubled one as often as it came."""
        with self._lock:
            for raw in self.sink.taken[len(self._mails) :]:
                message = message_from_bytes(raw, policy=policy.default)
                reader = message["To"].addresses[0].addr_spec
                self._mails.append(Mail(reader, str(message["Message-ID"]), str(message["Subject"])))
            return list(self._mails)

    def received(self, recipient: str) -> list[Mail]:
        return received(self.mails(), recipient)


def received(mails: Iterable[Mail], recipient: str) -> list[Mail]:
    """The mails to one recipient, each once."""
    return list({mail.message_id: mail for mail in mails if mail.recipient == recipient}.values())
