"""Whatever the libraries raise becomes a documented code and a sentence without a secret."""

import errno
import socket
import ssl
from itertools import pairwise

import aiohttp
import httpx
from hypothesis import given
from hypothesis import strategies as st

from checks.connection_failure import ConnectionFailure, FailureCode, explanation
from checks.reasons import DETAILS
from checks.wire.failure_cause import connection_failure, plain
from checks.wire.progress import ConnectionProgress, ConnectionStep

SERVER = "harvest.greenhouse.io"
ERRORS = st.one_of(
    st.sampled_from(sorted(errno.errorcode)).map(lambda number: OSError(number, "system's words")),
    st.sampled_from(
        [
            TimeoutError(),
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            ssl.SSLCertVerificationError("certificate verify failed"),
            aiohttp.ServerDisconnectedError(),
            aiohttp.ClientPayloadError("cut"),
            httpx.ConnectTimeout("as httpx-aiohttp says it"),
            ValueError("a surprise"),
        ]
    ),
)
PASSWORD = "s3cr3t-p4ssword"
STEPS = st.sampled_from(ConnectionStep)


def caused(errors: list[BaseException]) -> BaseException:
    """The first, each caused by the next."""
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    errors[-1].__cause__ = None
    return errors[0]


@given(st.lists(ERRORS, min_size=1, max_size=4, unique_by=id), STEPS, st.booleans(), st.none() | st.just({}))
def test_every_error_has_a_documented_code_and_no_password(
    errors: list[BaseException], step: ConnectionStep, proxied: bool, certificate: dict[str, object] | None
) -> None:
    """Whatever causes what, at whatever step, behind a proxy or not."""
    proxy = f"http://monitor:{PASSWORD}@proxy.example:3128" if proxied else None
    seen = ConnectionProgress(SERVER, proxied=proxied, step=step, certificate=certificate)
    found = connection_failure(caused(errors), seen, SERVER, proxy)
    assert found.code in DETAILS
    assert found.message
    assert PASSWORD not in found.message


def test_no_file_handles_left_is_a_code_of_its_own() -> None:
    """It is this process, not the network; with a proxy as without."""
    for proxy in (None, "http://proxy.example:3128"):
        wrapped = caused([httpx.ConnectError("Cannot connect"), OSError(errno.EMFILE, "Too many open files")])
        found = connection_failure(wrapped, ConnectionProgress(SERVER, proxied=proxy is not None), SERVER, proxy)
        assert found == ConnectionFailure(
            FailureCode.NO_FILE_HANDLES, "this process has no file handles left to open a connection with"
        )


def test_a_name_that_nobody_resolves_in_time_is_told() -> None:
    """Before anything is connected; that of the proxy, where there is one."""
    cases = {
        None: (FailureCode.NAME_TIMEOUT, "the name harvest.greenhouse.io was not resolved in time"),
        "http://me:x@proxy.example:3128": (
            FailureCode.PROXY_TIMEOUT,
            "the proxy http://proxy.example:3128 did not open a way to harvest.greenhouse.io in time",
        ),
    }
    for proxy, expected in cases.items():
        seen = ConnectionProgress(SERVER, proxied=proxy is not None, step=ConnectionStep.RESOLVING)
        found = connection_failure(TimeoutError(), seen, SERVER, proxy)
        assert (found.code, found.message) == expected


@given(st.text())
def test_a_strangers_words_are_one_short_line(text: str) -> None:
    """An authority's name comes from whoever answers: it forges no line of a log."""
    assert plain(text).isprintable()
    assert len(plain(text)) <= 80


def test_failures_that_differ_are_all_told() -> None:
    """One of them where they are the same; nothing where the detail speaks of no connection."""
    reset = ConnectionFailure(FailureCode.CONNECTION_RESET, "it was reset")
    closed = ConnectionFailure(FailureCode.CONNECTION_CLOSED, "it was closed")
    assert explanation("connection_reset", [reset, reset]) == "it was reset"
    assert explanation("no_connection", [reset, closed, reset]) == "it was reset; it was closed"
    assert explanation("server_error", [reset]) == ""
