"""The connections to Postgres, directly or through a pooler such as PgBouncer."""

from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from monitor.database_address import POOLER_OPTION, prepare_threshold
from monitor.store.failures import failure_of

POOL_SIZE = 10
POOL_WAIT_SECONDS = 30

_OPTIONS = {
    "client_encoding": "utf8",  # a database without an encoding would give bytes instead of text
    # A server that accepts a connection and then stays silent must not block us longer (seconds; the last in ms).
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def postgres_engine(url: URL, pool_size: int) -> AsyncEngine:
    """Opens at most so many connections, each when it is needed.

    What lasts longer than a transaction is kept out of them, since a pooler of transactions gives each to another
    session: no prepared statements unless the address asks for them, no SET, no session's locks, no LISTEN.
    """
    options = {name: value for name, value in _OPTIONS.items() if name not in url.query}
    engine = create_async_engine(
        url.difference_update_query([POOLER_OPTION]),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={**options, POOLER_OPTION: prepare_threshold(url)},
    )
    event.listen(engine.sync_engine, "handle_error", _replace_stale)
    return engine


def _replace_stale(context: ExceptionContext) -> None:
    """After a failover the open connections lead to what is a standby now: the next try gets new ones."""
    error: Any = context.sqlalchemy_exception
    failure = failure_of(error) if isinstance(error, DBAPIError) else None
    if failure is not None and failure.stale:
        context.is_disconnect = True
