"""The mail server of a fault run: it can go away and come back, and remembers what it took."""

import socket
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from email import message_from_bytes, policy

from tests.mail import Sink, listening, plain
from tests.neighbour import beside


@dataclass(frozen=True, slots=True)
class Mail:
    reader: str
    message_id: str
    subject: str


class PostOffice:
    """At one port for good, also while it is closed."""

    def __init__(self) -> None:
        self.sink = Sink()
        self._kept = socket.socket()
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept.bind(("127.0.0.1", 0))
        self._port: int = self._kept.getsockname()[1]
        self._open = ExitStack()
        self._mails: list[Mail] = []
        self._one_reader = threading.Lock()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port}?tls=none"

    def open(self) -> None:
        self._open.enter_context(beside(lambda: listening(plain(self.sink), port=self._port)))

    def close(self) -> None:
        self._open.close()

    def leave(self) -> None:
        self.close()
        self._kept.close()

    def mails(self) -> list[Mail]:
        """Every mail that was taken, in order, a doubled one as often as it was."""
        with self._one_reader:
            for raw in self.sink.taken[len(self._mails) :]:
                message = message_from_bytes(raw, policy=policy.default)
                self._mails.append(Mail(str(message["To"]), str(message["Message-ID"]), str(message["Subject"])))
            return list(self._mails)

    def told(self, reader: str) -> list[Mail]:
        return told(self.mails(), reader)


def told(mails: Iterable[Mail], reader: str) -> list[Mail]:
    """The mails to one reader, each once."""
    return list({mail.message_id: mail for mail in mails if mail.reader == reader}.values())
