"""Throws the switches of a sandbox that runs in another process of this machine, and speaks to nobody else."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import SplitResult, urlsplit

from checks.origin import is_loopback
from monitor.errors import ConfigurationError
from monitor.sandbox.app import CONTROL_PATH

_TIMEOUT = 10  # seconds
_JSON = {"Content-Type": "application/json"}


class Remote:
    """The control of the sandbox at `url`, as that command says it. ConfigurationError unless it is on loopback."""

    def __init__(self, url: str) -> None:
        self._url = url.removesuffix("/").removesuffix(CONTROL_PATH.decode())
        parts = _split(self._url)
        if parts is None or parts.scheme != "http" or parts.path or not is_loopback(parts.hostname or ""):
            raise ConfigurationError("a sandbox is at an address of this machine, such as http://127.0.0.1:8765")
        self._host, self._port = parts.hostname or "", parts.port or 80

    def ask(self, path: str) -> Any:
        return self._call("GET", path, None)

    def tell(self, path: str, body: Mapping[str, Any]) -> Any:
        """Throw a switch; what is None is left out."""
        return self._call("POST", path, {name: value for name, value in body.items() if value is not None})

    def _call(self, method: str, path: str, body: object) -> Any:
        """Raises ConfigurationError with the sandbox's own words where it refuses, or with what is there instead."""
        connection = HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        try:
            connection.connect()
            if not is_loopback(connection.sock.getpeername()[0]):  # a name can lead anywhere, even `localhost`
                raise ConfigurationError(f"{self._host} is not on this machine here: name it by its address")
            connection.request(method, CONTROL_PATH.decode() + path, None if body is None else json.dumps(body), _JSON)
            response = connection.getresponse()
            content = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as problem:
            raise ConfigurationError(
                f"no sandbox answers at {self._url} ({problem}): start one with `harvest-monitor sandbox`, or say "
                "with --url where it is"
            ) from None
        finally:
            connection.close()
        if response.status >= 400:
            raise ConfigurationError(f"the sandbox refuses: {content.get('error')}")
        return content


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return None if parts.port == 0 or "@" in parts.netloc else parts
    except ValueError:
        return None
