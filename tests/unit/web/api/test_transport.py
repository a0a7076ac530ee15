"""Whether a secret came here unread."""

from typing import Any

import pytest
from fastapi import Request

from monitor.web.api.transport import is_protected

PROXY = "10.0.0.7"

CASES: dict[str, tuple[bool, str | None, str, list[tuple[str, str]]]] = {
    "TLS up to us": (True, "192.0.2.9", "https", []),
    "this machine": (True, "127.0.0.1", "http", []),
    "this machine, IPv6": (True, "::1", "http", []),
    "this machine, IPv4 in IPv6": (True, "::ffff:127.0.0.1", "http", []),
    "another machine": (False, "192.0.2.9", "http", []),
    "the trusted proxy itself": (False, PROXY, "http", []),
    "a client that is no address": (False, "testclient", "http", []),
    "no client": (False, None, "http", []),
    "TLS up to the trusted proxy": (True, PROXY, "http", [("X-Forwarded-Proto", "https")]),
    "TLS up to the trusted proxy, loudly": (True, PROXY, "http", [("X-Forwarded-Proto", "HTTPS")]),
    "plain up to the trusted proxy": (False, PROXY, "http", [("X-Forwarded-Proto", "http")]),
    "plain before the first of two proxies": (False, PROXY, "http", [("X-Forwarded-Proto", "http, https")]),
    "plain between two proxies": (False, PROXY, "http", [("X-Forwarded-Proto", "https, http")]),
    "the header twice": (False, PROXY, "http", [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")]),
    "the header empty": (False, PROXY, "http", [("X-Forwarded-Proto", "")]),
    "the trusted proxy without a word on TLS": (False, PROXY, "http", [("X-Forwarded-For", "192.0.2.9")]),
    "anybody who says so": (False, "192.0.2.9", "http", [("X-Forwarded-Proto", "https")]),
    "an untrusted proxy on this machine": (False, "127.0.0.1", "http", [("X-Forwarded-For", "192.0.2.9")]),
    "an untrusted proxy on this machine that says so": (False, "127.0.0.1", "http", [("X-Forwarded-Proto", "https")]),
    "a proxy on this machine, in the standard's words": (False, "127.0.0.1", "http", [("Forwarded", "proto=https")]),
}


def test_a_secret_is_taken_over_tls_or_from_this_machine_only(subtests: pytest.Subtests) -> None:
    """A header is believed of the trusted proxy alone; a loopback client that forwards is not this machine."""
    for name, (protected, client, scheme, headers) in CASES.items():
        with subtests.test(name):
            scope: dict[str, Any] = {
                "type": "http",
                "method": "POST",
                "scheme": scheme,
                "server": ("monitor.example", 80),
                "path": "/",
                "query_string": b"",
                "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
                "client": None if client is None else (client, 1),
            }
            assert is_protected(Request(scope), lambda address: address == PROXY) is protected
