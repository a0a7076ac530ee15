"""A wave that hit three of four tenants."""

import pytest

from monitor.notices.compose.composer import Composer
from monitor.notices.content.render import Renderer
from monitor.store.database import Database
from tests.bursts import ALL, LOST_AT, TENANTS, group_all, loses
from tests.installation import NOTICES
from tests.reports import HOUR, MINUTE, T0, served
from tests.store import a_tenant, check, sync


@pytest.fixture
async def wave(database: Database) -> Database:
    """Acme, Globex and Initech lose `jobs` within minutes, Globex also the other two; Acme's is back an hour later.

    Umbrella keeps all. The notices of Acme and Globex are pending; Initech's loss was not composed yet.
    """
    await sync(database, *map(a_tenant, TENANTS))
    for number in range(1, 5):
        await check(database, served(ALL), T0, credential_id=number)
    await loses(database, 1, {"jobs": "m"}, LOST_AT)
    await loses(database, 2, dict.fromkeys(ALL, "m"), LOST_AT + 5 * MINUTE)
    await Composer(database, NOTICES, Renderer()).run_once(LOST_AT + 50 * MINUTE)
    await loses(database, 3, {"jobs": "m"}, LOST_AT + 9 * MINUTE)
    await check(database, served(ALL), LOST_AT + HOUR, credential_id=1)
    await check(database, served(ALL), LOST_AT + HOUR, credential_id=4)
    await group_all(database)
    return database
