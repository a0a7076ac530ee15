import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from monitor.logs import LogFormat, LogLevel, configure, traceback_text
from monitor.redaction import redactor

KEY = "k3y-of-acme-that-has-no-shape"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Restores logging, so that these tests do not affect others."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    redactor.learn(KEY)
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail_with(text: str) -> None:
    local = "-".join(["in", "the", "frame"])  # as a client's header would be
    raise ValueError(f"{text} {len(local)}")


def test_a_pipe_gets_json(stream: io.StringIO) -> None:
    """Each line is one JSON object with event, level, time in UTC and the fields."""
    configure(LogLevel.INFO, LogFormat.AUTO, stream)

    structlog.get_logger("monitor.checking.check_job").info("finished_sweep", tenants=65, slot=3)

    (line,) = lines(stream)
    assert line | {"timestamp": ""} == {
        "event": "finished_sweep",
        "level": "info",
        "logger": "monitor.checking.check_job",
        "tenants": 65,
        "slot": 3,
        "timestamp": "",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", str(line["timestamp"]))


def test_a_terminal_gets_colour() -> None:
    """On a terminal a line is readable, in colour; with `json` it is JSON there as well."""
    terminal = Terminal()
    configure(LogLevel.INFO, LogFormat.AUTO, terminal)
    structlog.get_logger().info("finished_sweep", tenants=65)
    assert "\x1b[" in terminal.getvalue()

    terminal = Terminal()
    configure(LogLevel.INFO, LogFormat.JSON, terminal)
    structlog.get_logger().info("finished_sweep", tenants=65)
    assert lines(terminal)[0]["tenants"] == 65


def test_console_without_a_terminal_has_no_colour(stream: io.StringIO) -> None:
    """With `console`, a file gets the same line without terminal codes."""
    configure(LogLevel.INFO, LogFormat.CONSOLE, stream)

    structlog.get_logger().info("finished_sweep", tenants=65)

    assert "finished_sweep" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("log_format", [LogFormat.JSON, LogFormat.CONSOLE])
def test_no_secret_reaches_the_log_by_any_way(stream: io.StringIO, log_format: LogFormat) -> None:
    """Event, field, bound and context values, nested values, exceptions, other libraries' lines: all are redacted."""
    configure(LogLevel.DEBUG, log_format, stream)
    log = structlog.get_logger().bind(bound=f"x{KEY}")

    with structlog.contextvars.bound_contextvars(context=KEY):
        log.info(f"sent {KEY}", plain=KEY, nested={"headers": [("Authorization", KEY)]}, password="short")
        try:
            fail_with(f"refused {KEY}")
        except ValueError as error:
            error.add_note(f"while asking with {KEY}")
            log.exception("failed_check", error=error)
            logging.getLogger("uvicorn.error").exception("%s failed", KEY)
            log.error("failed_again", exc_info=error)
    logging.getLogger("alembic").warning("at %s", f"postgresql://monitor:{KEY}@db/monitor")
    logging.getLogger(f"library.{KEY}").error("named")  # is added after the fields were redacted
    logging.getLogger("asyncio").error("unformatted", exc_info=(ValueError, ValueError(KEY), None))

    written = stream.getvalue()
    assert written.count("Traceback") >= 3
    assert KEY not in written
    assert "short" not in written
    assert "in-the-frame" not in written  # a traceback shows no variables


def test_a_traceback_is_text_without_secrets() -> None:
    """The text of an exception with its causes and notes can be printed: it contains no secrets."""
    redactor.learn(KEY)
    try:
        try:
            fail_with(KEY)
        except ValueError as error:
            raise RuntimeError(f"gave up on {KEY}") from error
    except RuntimeError as error:
        shown = traceback_text(error)

    assert "RuntimeError: gave up on ***" in shown
    assert "ValueError: ***" in shown
    assert KEY not in shown


def test_no_value_can_forge_a_console_line(stream: io.StringIO) -> None:
    """Line breaks and terminal codes in values are escaped; only a traceback has several lines, all indented."""
    configure(LogLevel.INFO, LogFormat.CONSOLE, stream)
    forged = "x\n2026-11-23T00:00:00Z [info] granted_everything \x1b[2J\r\u2028y"

    structlog.get_logger().info(forged, tenant=forged)
    try:
        fail_with(forged)
    except ValueError:
        structlog.get_logger().exception("failed_check")
    logging.getLogger("uvicorn.error").error(forged)

    written = stream.getvalue()
    assert [line for line in written.splitlines() if line.startswith("2026-11-23T00")] == []
    assert "\x1b" not in written
    assert "\r" not in written
    assert "\\n2026-11-23T00:00:00Z [info] granted_everything \\x1b[2J\\r\\u2028y" in written


def test_no_value_can_forge_a_json_line(stream: io.StringIO) -> None:
    """A line break stays inside its string: one event is one line."""
    configure(LogLevel.INFO, LogFormat.JSON, stream)

    structlog.get_logger().info("read_row", name='Acme\n{"event": "forged"}')

    assert [line["event"] for line in lines(stream)] == ["read_row"]


def test_levels(stream: io.StringIO) -> None:
    """Nothing below the level is written. At any level, the noisy libraries log only warnings, the scheduler errors."""
    configure(LogLevel.DEBUG, LogFormat.JSON, stream)
    libraries = ("httpx", "aiohttp.client", "sqlalchemy.engine.Engine", "apscheduler.scheduler")
    for name in (*libraries, "other"):
        logging.getLogger(name).info("logged")
        logging.getLogger(name).warning("warned")
    assert [line["logger"] for line in lines(stream) if line["event"] == "logged"] == ["other"]
    warned = [line["logger"] for line in lines(stream) if line["event"] == "warned"]
    assert warned == [*libraries[:3], "other"]

    stream.truncate(0)
    configure(LogLevel.WARNING, LogFormat.JSON, stream)
    structlog.get_logger().info("logged")
    logging.getLogger("other").info("logged")
    assert stream.getvalue() == ""


def test_configuring_again_replaces(stream: io.StringIO) -> None:
    """A second configuration does not make every line appear twice."""
    configure(LogLevel.INFO, LogFormat.JSON, io.StringIO())
    configure(LogLevel.INFO, LogFormat.JSON, stream)

    logging.getLogger("uvicorn.error").info("started")
    structlog.get_logger().info("started")

    assert len(lines(stream)) == 2


def test_a_line_that_cannot_be_formatted_shows_nothing(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    """A library's broken log call is reported as a lost line, without its arguments; the caller goes on."""
    configure(LogLevel.INFO, LogFormat.JSON, stream)

    logging.getLogger("library").warning("%d things", KEY)

    assert lines(stream) == [{"event": "lost_log_line", "problem": "TypeError"}]
    assert KEY not in capsys.readouterr().err


def test_a_flood_of_one_line_is_cut_to_a_count(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a library's line, whatever numbers it holds, ten in ten seconds; then how many more there were."""
    seconds = 0.0
    monkeypatch.setattr("monitor.logs.elapsed", lambda: seconds)
    configure(LogLevel.INFO, LogFormat.JSON, stream)
    library = logging.getLogger("asyncio")
    for number in range(2000):
        library.error("socket.accept() out of system resource\nsocket: <socket fd=%d>", number)
    assert len(lines(stream)) == 10
    structlog.get_logger().info("checked", tenant="acme")
    assert len(lines(stream)) == 11
    seconds = 10.0
    structlog.get_logger().info("checked", tenant="globex")
    told, last = lines(stream)[11:]
    assert told["event"] == "… and 1,990 more like it in 10 s: socket.accept() out of system resource"
    assert (told["level"], told["logger"]) == ("error", "asyncio")
    assert last["tenant"] == "globex"
    for _ in range(12):
        library.error("again")
    logging.getLogger().handlers[0].close()
    assert lines(stream)[-1]["event"] == "… and 2 more like it in 10 s: again"


def test_our_own_lines_are_alike_only_with_the_same_fields(stream: io.StringIO) -> None:
    """A line for each of a thousand tenants is a thousand lines; the same one a thousand times is not."""
    configure(LogLevel.INFO, LogFormat.JSON, stream)
    log = structlog.get_logger()
    for number in range(1000):
        log.info("checked", tenant=f"t{number}")
        log.warning("dropped_web_connection", why="more than 500 connections")
    events = [line["event"] for line in lines(stream)]
    assert (events.count("checked"), events.count("dropped_web_connection")) == (1000, 10)
