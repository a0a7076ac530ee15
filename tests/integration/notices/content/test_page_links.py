"""The setting reaches the emails of a running service."""

from datetime import timedelta
from pathlib import Path

from monitor.config.settings import NoticesMode, Settings
from monitor.drift import EventKind
from monitor.service import assembled
from monitor.store.database import open_database
from monitor.store.tables import NOTICE
from tests.composer import ComposerHarness
from tests.notices import NOW, OPERATOR
from tests.store import rows


async def test_an_email_of_the_service_leads_to_the_address_of_the_settings(tmp_path: Path) -> None:
    credential = "{kind: harvest-key, label: Key, key: 'env:GLOBEX_KEY'}"
    (tmp_path / "tenants.yaml").write_text(f"tenants: [{{id: globex, name: Globex, credential: {credential}}}]\n")
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/store.sqlite3",
        tenants=tmp_path / "tenants.yaml",
        notices=NoticesMode.CSM,
        smtp_url=f"mailbox:{tmp_path}/mail",
        mail_from="monitor@vendor.example",
        operator_mail=OPERATOR,
        public_url="https://monitor.vendor.example/hm/",
    )
    async with assembled(settings, await open_database(settings.database)) as service:
        await ComposerHarness(service.db).add_event(EventKind.LOST, "GET: List offers")
        await service.composer.run_once(NOW + timedelta(hours=2))
        [notice] = await rows(service.db, NOTICE)
    assert "\nhttps://monitor.vendor.example/hm/tenants/acme\n" in notice["text"]
    assert 'href="https://monitor.vendor.example/hm/tenants/acme"' in notice["html"]
