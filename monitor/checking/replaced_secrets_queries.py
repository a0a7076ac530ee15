"""Which files the secrets of credentials are in, and making the checks of some credentials due."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from checks.credential import CredentialState
from monitor.checking.claim_queries import config_of
from monitor.store.tables import CREDENTIAL
from monitor.tenants.file import CredentialConfig

_FILE = "file:"
_C = CREDENTIAL.c
_IS_CHECKED = _C.next_due.is_not(None)


@dataclass(frozen=True, slots=True)
class Watched:
    credential_id: int
    tenant_id: str
    config: CredentialConfig
    state: str
    suspect_state: str | None
    fingerprint: str | None

    @property
    def in_trouble(self) -> bool:
        return self.state != CredentialState.OK or self.suspect_state is not None


async def files(conn: AsyncConnection) -> Mapping[str, list[tuple[int, bool]]]:
    """By path: the credentials that have a secret in this file, and whether it is a token."""
    found: dict[str, list[tuple[int, bool]]] = {}
    for row in await conn.execute(select(_C.id, _C.reference, _C.oauth).where(_IS_CHECKED)):
        oauth = row.oauth or {}
        texts = [(row.reference, False), (oauth.get("client_id", ""), False), (oauth.get("token", ""), True)]
        for text, is_token in texts:
            if text.startswith(_FILE):
                found.setdefault(text.removeprefix(_FILE), []).append((row.id, is_token))
    return found


async def watched(conn: AsyncConnection, ids: Collection[int]) -> Sequence[Watched]:
    """Those that are still checked."""
    rows = await conn.execute(select(CREDENTIAL).where(_C.id.in_(ids), _IS_CHECKED).order_by(_C.id))
    return [
        Watched(row.id, row.tenant_id, config_of(row), row.state, row.suspect_state, row.fingerprint) for row in rows
    ]


async def make_due(conn: AsyncConnection, ids: Collection[int], now: datetime) -> None:
    """What is due already keeps its place among those that wait."""
    await conn.execute(update(CREDENTIAL).where(_C.id.in_(ids), _C.next_due > now).values(next_due=now))
