"""Templates that cannot be used: they affect only the form of their own emails."""

from pathlib import Path

import pytest
from jinja2 import FileSystemLoader
from sqlalchemy import select

from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.content.render import Renderer
from monitor.notices.notice import Status
from monitor.store.database import Database
from monitor.store.tables import NOTICE
from tests.composer import ComposerHarness
from tests.messages import with_templates
from tests.notices import NOW, OPERATOR, SETTLE

LOST = EventKind.LOST
LATER = NOW + SETTLE


@pytest.fixture
def harness(sqlite: Database) -> ComposerHarness:
    return ComposerHarness(sqlite)


async def _forms(harness: ComposerHarness) -> list[tuple[str, str, bool]]:
    """Every notice: its reader, why it was written, and whether it is fallback text."""
    async with harness.database.reading() as conn:
        found = await conn.execute(select(NOTICE.c.recipient, NOTICE.c.why, NOTICE.c.fallback).order_by(NOTICE.c.id))
        return [(reader, why, fallback) for reader, why, fallback in found]


async def test_a_broken_template_delays_no_notice(harness: ComposerHarness, tmp_path: Path) -> None:
    """Its emails are fallback text, and flagged; others are unchanged; the operator is notified once."""
    renderer = with_templates(tmp_path, {"csm.txt.j2": "{{ message.surname }}"})
    for tenant in ("acme", "globex"):
        await harness.add_event(LOST, "GET: List offers", tenant)
    await harness.add_event(EventKind.FOUND, "GET: List jobs", audience=Audience.OPERATOR)
    assert await harness.run(renderer=renderer) == 3
    assert renderer.broken == 1
    await harness.add_event(LOST, "GET: List jobs")
    assert await harness.run(renderer=renderer) == 1
    assert all(settled for settled, _ in (await harness.causes()).values())
    assert await _forms(harness) == [
        ("dana+acme@vendor.example", "lost:GET: List offers", True),
        ("dana+globex@vendor.example", "lost:GET: List offers", True),
        (OPERATOR, "found:GET: List jobs", False),
        (OPERATOR, "broken template", False),
        ("dana+acme@vendor.example", "lost:GET: List jobs", True),
    ]
    notices = await harness.notices(Status.PENDING)
    assert [notice.fallback for notice in notices] == [True, True, False, False, True]
    assert notices[3].subject == "Action: the email template “csm” cannot be used"


async def test_a_template_is_no_longer_broken_once_an_email_came_out_of_it(
    harness: ComposerHarness, tmp_path: Path
) -> None:
    """It is read again when its file changes, and other templates say nothing about it."""
    renderer = with_templates(tmp_path, {"csm.txt.j2": "{{ message.surname }}"})
    await harness.add_event(LOST, "GET: List offers")
    await harness.run(renderer=renderer)
    await harness.add_event(EventKind.FOUND, "GET: List jobs", audience=Audience.OPERATOR)
    await harness.run(renderer=renderer)
    assert renderer.broken == 1
    (tmp_path / "csm.txt.j2").write_text("mended")
    await harness.add_event(LOST, "GET: List jobs")
    await harness.run(renderer=renderer)
    assert renderer.broken == 0


async def test_without_any_template_everything_is_still_reported(harness: ComposerHarness, tmp_path: Path) -> None:
    """The email about the templates is fallback text, too, and that is not reported again."""
    renderer = Renderer()
    renderer.environment.loader = FileSystemLoader(tmp_path)
    await harness.burst(LOST, 3)
    await harness.add_event(EventKind.FOUND, "GET: List jobs", audience=Audience.OPERATOR)
    assert await harness.run(renderer=renderer) == 5
    await harness.alarm(renderer=renderer)
    assert all(fallback for _, _, fallback in await _forms(harness))
    assert len(await harness.notices(Status.HELD)) == 3
    whys = [why for _, why, _ in await _forms(harness)]
    assert whys.count("broken template") == 4  # csm, digest, brake, alarm
    assert "write alarm" in whys


async def test_fallback_texts_of_a_burst_are_held_like_any_other(harness: ComposerHarness, tmp_path: Path) -> None:
    """A bad release of ours sends no burst of emails, in whatever form."""
    await harness.burst(LOST, 3)
    await harness.run(renderer=with_templates(tmp_path, {"csm.html.j2": "{% if %}"}))
    assert [notice.fallback for notice in await harness.notices(Status.HELD)] == [True] * 3
