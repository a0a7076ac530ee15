"""Controls a sandbox that runs in another process on this machine; it connects to no other machine."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import SplitResult, urlsplit

from checks.origin import is_loopback
from monitor.errors import ConfigurationError
from monitor.sandbox.control.requests import CONTROL_PATH

_TIMEOUT = 10  # seconds
_JSON = {"Content-Type": "application/json"}


class Remote:
    """The control API of the sandbox at `url`, as `sandbox` prints it. ConfigurationError if it is not on loopback."""

    def __init__(self, url: str) -> None:
        self._url = url.removesuffix("/").removesuffix(CONTROL_PATH)
        parts = _split(self._url)
        if parts is None or parts.scheme != "http" or parts.path or not is_loopback(parts.hostname or ""):
            raise ConfigurationError("a sandbox has an address on this machine, such as http://127.0.0.1:8765")
        self._host, self._port = parts.hostname or "", parts.port or 80

    def get(self, path: str) -> Any:
        return self._call("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Fields that are None are left out."""
        return self._call("POST", path, {name: value for name, value in body.items() if value is not None})

    def _call(self, method: str, path: str, body: object) -> Any:
        """Raises ConfigurationError with the sandbox's error message, or if no sandbox answers."""
        # http.client, because an import contract keeps httpx to the requests to Greenhouse.
        connection = HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        try:
            connection.connect()
            if not is_loopback(connection.sock.getpeername()[0]):  # a name can resolve to anything, even `localhost`
                raise ConfigurationError(f"{self._host} is not on this machine: use the address instead of the name")
            connection.request(method, CONTROL_PATH + path, None if body is None else json.dumps(body), _JSON)
            response = connection.getresponse()
            content = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as problem:
            raise ConfigurationError(
                f"no sandbox answers at {self._url} ({problem}): start one with `harvest-monitor sandbox`, or give "
                "its address with --url"
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
