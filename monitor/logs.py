"""Logs: one chain for structlog and for the libraries' standard logging, with redaction at both ends.

Events are verbs in snake_case, with fields. JSON into a pipe or file, colour on a terminal.
"""

import logging
import re
import sys
import traceback
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from monitor.clock import elapsed
from monitor.redaction import redactor
from monitor.repeated_lines import WITHIN_SECONDS, RepeatedLines

# They log every request, statement or tick, with addresses and values.
_QUIET = ("alembic", "httpx", "httpcore", "aiohttp", "sqlalchemy", "aiosqlite", "uvicorn.access")
_KEPT = ("exc_info", "_record", "_from_structlog")  # structlog's own, still needed as objects further down the chain
_OF_ONE_LINE = ("timestamp", "_record", "_from_structlog")
_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+(\.[0-9]+)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_IN_TRACE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class LogFormat(StrEnum):
    """`auto` is `console` on a terminal and `json` elsewhere."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class _Handler(logging.StreamHandler[TextIO]):
    """Cuts a flood of one line to a count, which is written with the next line of any kind, and at the end.

    Reports a lost line without the standard library's dump of it, which would bypass redaction.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._repeated = RepeatedLines()

    def emit(self, record: logging.LogRecord) -> None:
        now = elapsed()
        self._tell_counted(now)
        if self._repeated.is_written(_likeness(record), record, now):
            super().emit(record)

    def close(self) -> None:
        with suppress(Exception):  # the stream may be closed already
            self._tell_counted(None)
        super().close()

    def _tell_counted(self, now: float | None) -> None:
        for first, times in self._repeated.counted(now):
            text = f"… and {times:,} more like it in {WITHIN_SECONDS:.0f} s: {_first_line(first)}"
            super().emit(
                logging.makeLogRecord(
                    {"name": first.name, "levelno": first.levelno, "levelname": first.levelname, "msg": text}
                )
            )

    def handleError(self, record: logging.LogRecord) -> None:
        problem = sys.exc_info()[0]
        with suppress(Exception):
            self.stream.write(f'{{"event": "lost_log_line", "problem": "{problem and problem.__name__}"}}\n')


def _likeness(record: logging.LogRecord) -> str:
    """The same for lines that say the same. Ours differ in their fields on purpose, those of libraries in numbers."""
    said = ""
    with suppress(Exception):  # a line that cannot be formatted is reported where it is written
        if isinstance(record.msg, dict):
            said = repr({name: value for name, value in record.msg.items() if name not in _OF_ONE_LINE})
        else:
            said = _NUMBER.sub("#", record.getMessage())
    return f"{record.name} {record.levelno} {said}"


def _first_line(record: logging.LogRecord) -> str:
    with suppress(Exception):
        text = str(record.msg["event"]) if isinstance(record.msg, dict) else record.getMessage()
        return text.partition("\n")[0]
    return "a line that cannot be formatted"


def configure(level: LogLevel, log_format: LogFormat, stream: TextIO) -> None:
    """Send everything logged in this process to `stream`; a second call replaces the first."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_gather(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # Loggers are module globals: a cached one would keep what an earlier `configure` had set.
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(_formatter(log_format, stream))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns about every run skipped because the previous one is not done, as with a queue of emails to a slow server.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def traceback_text(error: BaseException) -> str:
    """The traceback with its causes, without local variables and without secrets."""
    return redactor.text("".join(traceback.format_exception(error)).rstrip("\n"))


def _gather() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        _redact_fields,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _format_exception,
    ]


def _formatter(log_format: LogFormat, stream: TextIO) -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_gather(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _redacted_line(_renderer(log_format, stream)),
        ],
    )


def _renderer(log_format: LogFormat, stream: TextIO) -> Processor:
    if log_format is LogFormat.JSON or (log_format is LogFormat.AUTO and not stream.isatty()):
        return structlog.processors.JSONRenderer()
    # JSON escapes control characters by itself; the console renderer prints some as they are.
    console = structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)
    return lambda logger, name, event: console(logger, name, _escape(event))


def _redact_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # While fields still have names; `_redacted_line` covers what rendering adds.
    kept = {name: event.pop(name) for name in _KEPT if name in event}
    return {**redactor.fields(event), **kept}


def _redacted_line(render: Processor) -> Processor:
    return lambda logger, name, event: redactor.text(str(render(logger, name, event)))


def _format_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    error = _error_of(event.pop("exc_info", None))
    if error is not None:
        event["exception"] = traceback_text(error)
    return event


def _error_of(
    exc_info: bool | BaseException | tuple[type[BaseException], BaseException, TracebackType | None] | None,
) -> BaseException | None:
    match exc_info:
        case BaseException():
            return exc_info
        case (_, BaseException() as error, _):
            return error
        case True:
            return sys.exc_info()[1]
    return None


def _escape(event: EventDict) -> EventDict:
    """Make control characters visible, so that no value can forge a line or control a terminal."""
    trace = event.pop("exception", None)
    escaped = {name: _visible(value, _CONTROL) if isinstance(value, str) else value for name, value in event.items()}
    if trace is not None:
        escaped["exception"] = "    " + _visible(trace, _CONTROL_IN_TRACE).replace("\n", "\n    ")
    return escaped


def _visible(text: str, unwanted: re.Pattern[str]) -> str:
    return unwanted.sub(lambda found: repr(found[0])[1:-1], text)
