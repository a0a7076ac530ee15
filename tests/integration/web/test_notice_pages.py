"""`/notices` over real HTTP: what is listed and shown, and what an operator releases, drops and retries."""

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, update

from monitor.drift import EventKind
from monitor.notices import operator_actions
from monitor.notices.notice import Status
from monitor.reporting.notice_list import NoticePlace
from monitor.store.burst_tables import BURST
from monitor.store.database import Database
from monitor.store.tables import DRIFT_EVENT, NOTICE, OPERATOR_ACTION, TENANT
from monitor.web.auth.role import AccessRole
from monitor.web.lists.notices import NOTICES
from tests.composer import ComposerHarness
from tests.installation import Clock
from tests.notices import NOW, SETTLE
from tests.store import rows
from tests.website import OUR_OWN, Website, hidden_fields, website

MAIL = {
    "notices": "csm",
    "smtp_url": "smtp://mail.vendor.example",
    "mail_from": "monitor@vendor.example",
    "operator_mail": "ops@vendor.example",
    "operators": "lee@vendor.example",
}
HELD = 5  # held emails, numbers 1 to 5, and the operator's about them, number 6


@asynccontextmanager
async def site(db: Database, role: AccessRole = AccessRole.OPERATOR, name: str = "dana") -> AsyncIterator[Website]:
    async with website(db, clock=Clock(NOW + timedelta(minutes=30)), **MAIL) as web:
        await web.signed_in(role, name)
        yield web


@pytest.fixture
async def held(sqlite: Database) -> Database:
    world = ComposerHarness(sqlite)
    await world.burst(EventKind.LOST, HELD)
    await world.run()
    return sqlite


async def status_of(db: Database) -> dict[int, str]:
    return {row["id"]: row["status"] for row in await rows(db, NOTICE)}


async def change(db: Database, number: int, **columns: Any) -> None:
    async with db.writing() as conn:
        await conn.execute(update(NOTICE).where(NOTICE.c.id == number).values(columns))


async def chosen(web: Website, do: str, *numbers: int, reason: str = "ticket 12") -> Any:
    form = {"do": do, "which": "chosen", "n": [str(number) for number in numbers], "reason": reason}
    return await web.browser.post("/notices/confirm", data=form, headers=OUR_OWN)


async def confirmed(web: Website, page: str) -> Any:
    """Press the button of a confirmation page, and follow it to the list."""
    return await web.browser.post("/notices/act", data=hidden_fields(page), headers=OUR_OWN, follow_redirects=True)


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())


def facets(page: str) -> dict[str, int]:
    nav = page.partition('id="facets"')[2].partition("</nav>")[0]
    return {name: int(number) for name, number in re.findall(r">(\w+) (\d+)</a>", nav)}


def numbers_in(page: str) -> list[int]:
    rows = page.partition('<div id="rows">')[2]
    return [int(number) for number in re.findall(r'<th scope="row">.*?href="/notices/(\d+)"', rows)]


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    engine = db._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_held_emails_come_first_with_what_happens_if_nothing_is_done(held: Database) -> None:
    """The newer email to the operator stands below those that wait; each names its reader, tenant and reason."""
    async with site(held) as web:
        page = (await web.browser.get("/notices")).text
    assert numbers_in(page) == [5, 4, 3, 2, 1, 6]
    said = text(page)
    assert "Held: 5 emails to 5 readers, the first since 14:05 . Nobody is told until an operator decides." in said
    assert "For what recovers meanwhile none is sent, and none of its end." in said
    assert "no CSM is told now or on recovery" in said
    assert "Burst0 : lost GET: List offers 14:05 Dana Reyes held" in said


async def test_every_facet_counts_what_its_list_shows(held: Database) -> None:
    """Under any filter, too; the facets of a list are the same on each of them."""
    await change(held, 1, status=Status.SENT, sent_at=NOW)
    await change(held, 2, status=Status.FAILED, failed_at=NOW, last_error="550 no such user")
    await change(held, 3, status=Status.DROPPED)
    async with site(held) as web:
        for query in ("", "tenant=burst1", "tenant=Burst", "reader=dana", "reader=ops%40", "tenant=nobody"):
            page = (await web.browser.get(f"/notices?{query}")).text
            counts = facets(page)
            assert ("fit" in text(page).partition("Emails,")[0]) == bool(query), query
            assert set(counts) == {"all", *Status}, query
            assert counts["all"] == sum(counts[status] for status in Status), query
            for status, count in counts.items():
                asked = query if status == "all" else f"{query}&status={status}"
                page = (await web.browser.get(f"/notices?{asked}")).text
                assert len(numbers_in(page)) == count, (query, status)
                assert facets(page) == counts, (query, status)


async def test_the_emails_of_one_burst_are_a_list(held: Database) -> None:
    """Filtered, counted and decided about as a whole; an email leads to the burst and to the others."""
    burst = {
        "kind": "lost",
        "subject": "offers",
        "first_at": NOW,
        "last_at": NOW,
        "tenants": 2,
        "events": 2,
        "examples": [],
    }
    async with held.writing() as conn:
        number = (await conn.execute(insert(BURST).values(burst).returning(BURST.c.id))).scalar_one()
        of_two = update(DRIFT_EVENT).where(DRIFT_EVENT.c.tenant_id.in_(["burst1", "burst3"]))
        await conn.execute(of_two.values(burst_id=number))
    async with site(held) as web:
        page = (await web.browser.get(f"/notices?status=held&burst={number}")).text
        assert (numbers_in(page), facets(page)["held"], hidden_fields(page)["all"]) == ([4, 2], 2, "2 4")
        assert f'href="/notices?status=held&amp;burst={number}"' in (await web.browser.get("/notices/2")).text
        assert "burst=" not in (await web.browser.get("/notices/1")).text


async def test_pages_and_json_go_through_the_whole_list_once(held: Database) -> None:
    """With and without a status; the first page ends among the held ones."""
    template = (await rows(held, NOTICE))[0]
    async with held.writing() as conn:
        for number in range(7, 130):
            status = Status.HELD if number % 2 else Status.SENT
            row = template | {"id": number, "message_id": f"<{number}@x>", "status": status, "sent_at": NOW}
            await conn.execute(NOTICE.insert().values(row))
    async with site(held) as web:
        for query, expected in (("", 129), ("?status=held", 67)):
            seen, address = [], f"/notices{query}"
            while address:
                page = (await web.browser.get(address)).text
                assert len(page.encode()) < 60_000
                seen += numbers_in(page)
                older = re.search(r'href="([^"]+)">Next 50</a>', page)
                address = older[1].replace("&amp;", "&") if older else ""
            assert len(seen) == len(set(seen)) == expected, query
            listed = (await web.browser.get(f"/notices.json{query or '?'}&limit=200", follow_redirects=True)).json()
            assert [notice["id"] for notice in listed["items"]] == seen, query
            assert listed["next"] is None
            table = list(
                csv.DictReader((await web.browser.get(f"/notices.csv{query}")).text.removeprefix("\ufeff").splitlines())
            )
            assert [int(line["id"]) for line in table] == seen, query
            assert table[0].keys() == listed["items"][0].keys(), query


async def test_nothing_is_released_before_the_confirmation(held: Database) -> None:
    """The page repeats number, readers, subjects and reason; only its button does it, and the list says so."""
    async with site(held) as web:
        page = (await chosen(web, "release", 1, 3)).text
        said = text(page)
        assert "Send 2 emails to 2 readers?" in said
        assert "Your reason: “ ticket 12 ”" in said
        assert "Burst0: Greenhouse permission missing (List offers) to Dana Reyes" in said
        assert "Nothing: still 2." in said
        assert set((await status_of(held)).values()) == {"held", "pending"}
        after = await confirmed(web, page)
    assert (after.url.path, after.history[0].status_code) == ("/notices", 303)
    assert "2 released. By dana 14:35 : “ ticket 12 ”" in text(after.text)
    assert await status_of(held) == {1: "pending", 2: "held", 3: "pending", 4: "held", 5: "held", 6: "pending"}
    action = (await rows(held, OPERATOR_ACTION))[-1]
    assert (action["who"], action["action"], action["reason"]) == ("dana", "notices release", "ticket 12")


async def test_all_means_those_that_were_held_when_the_form_was_made(held: Database) -> None:
    """What left the hold meanwhile is told with its reason; what came is told, and not sent."""
    async with site(held) as web:
        form = hidden_fields((await web.browser.get("/notices?status=held")).text)
        assert form["all"] == "1-5"
        await change(held, 2, status=Status.DROPPED)
        await operator_actions.drop(held, NOW + timedelta(minutes=20), "lee", "a false alarm", [3])
        await change(held, 6, status=Status.HELD)
        answer = await web.browser.post(
            "/notices/confirm", data=form | {"do": "release", "which": "all", "reason": "ok"}, headers=OUR_OWN
        )
        unreasoned = await web.browser.post(
            "/notices/confirm", data=form | {"do": "release", "which": "all"}, headers=OUR_OWN
        )
        again = hidden_fields(unreasoned.text) | {"reason": "ok"}
        assert (await web.browser.post("/notices/confirm", data=again, headers=OUR_OWN)).text == answer.text
        said = text(answer.text)
        assert "Send 3 emails to 3 readers?" in said
        assert "1 of 5: no longer held: what it was about had recovered, or a newer email took its place." in said
        assert "1 of 5: dropped by lee 14:25 (“ a false alarm ”)." in said
        assert "1 email more held since then: not part of this." in said
        await operator_actions.release(held, NOW, "lee", "", [4])
        after = await confirmed(web, answer.text)
    assert "2 of 5 released; 3 were no longer held." in text(after.text)
    assert (await status_of(held))[6] == "held"


async def test_the_second_operator_is_told_what_the_first_did(held: Database) -> None:
    """Who, when and why; with the form still open, and with the confirmation page still open. Nothing is done twice."""
    async with site(held) as web, site(held, name="lee") as other:
        for number, first, done in ((1, "release", "released"), (2, "drop", "dropped")):
            late = (await chosen(other, "release", number)).text
            await confirmed(web, (await chosen(web, first, number, reason="seen in Greenhouse")).text)
            for answer in (await chosen(other, "drop", number), await confirmed(other, late)):
                assert answer.status_code == 409, first
                assert "it is no longer held" in text(answer.text), first
                assert f"1 of 1: {done} by dana 14:35 (“ seen in Greenhouse ”)." in text(answer.text), first
                assert 'action="/notices/act' not in answer.text, first
                assert "?tz=" not in answer.text, "the address of this page shows nothing to a reader who opens it"
    assert {action["who"] for action in await rows(held, OPERATOR_ACTION) if "notices" in action["action"]} == {"dana"}


async def test_a_dropped_email_is_never_sent(held: Database) -> None:
    """The confirmation says both ends; held and failed ones can be dropped."""
    await change(held, 2, status=Status.FAILED, failed_at=NOW)
    async with site(held) as web:
        page = (await chosen(web, "drop", 1, 2)).text
        assert "Drop 2 emails to 2 readers?" in text(page)
        assert "Never sent, and that cannot be undone: no CSM is told now or on recovery." in text(page)
        assert "2 dropped." in text((await confirmed(web, page)).text)
    assert [(await status_of(held))[number] for number in (1, 2, 3)] == ["dropped", "dropped", "held"]


async def test_a_retried_email_goes_to_the_csm_of_today(held: Database) -> None:
    """And the confirmation names that reader, not the one who could not be reached."""
    await change(held, 1, status=Status.FAILED, failed_at=NOW, last_error="550 no such user")
    async with held.writing() as conn:
        await conn.execute(
            update(TENANT).where(TENANT.c.id == "burst0").values(csm_name="Kim Novak", csm_email="kim@vendor.example")
        )
    async with site(held) as web:
        failed = text((await web.browser.get("/notices?status=failed")).text)
        assert "550 no such user" in failed
        page = (await chosen(web, "retry", 1)).text
        assert "Try 1 email to 1 reader again?" in text(page)
        assert "Kim Novak" in text(page)
        await confirmed(web, page)
    notice = (await rows(held, NOTICE))[0]
    assert (notice["status"], notice["recipient"]) == ("pending", "kim@vendor.example")


async def test_a_reason_is_required(held: Database) -> None:
    """Before and at the confirmation; what was chosen is kept, and the form goes on from there."""
    async with site(held) as web:
        for reason, problem in (
            ("", "A reason is needed"),
            (" \t", "A reason is needed"),
            ("x" * 501, "501 characters"),
        ):
            answer = await chosen(web, "release", 1, 2, reason=reason)
            assert (answer.status_code, problem in answer.text) == (422, True), reason
            again = hidden_fields(answer.text) | {"reason": "ticket 12"}
            page = await web.browser.post("/notices/confirm", data=again, headers=OUR_OWN)
            assert "Send 2 emails to 2 readers?" in page.text, reason
            form = hidden_fields(page.text) | {"reason": reason}
            assert (await web.browser.post("/notices/act", data=form, headers=OUR_OWN)).status_code == 422, reason
    assert "released" not in {action["action"] for action in await rows(held, OPERATOR_ACTION)}
    assert (await status_of(held))[1] == "held"


async def test_a_viewer_sees_everything_and_does_nothing(held: Database) -> None:
    """In the place of the form stands who may act; both routes refuse."""
    async with site(held, AccessRole.VIEWER) as web:
        for path in ("/notices", "/notices/1"):
            page = (await web.browser.get(path)).text
            assert "Operators release and drop held emails" in text(page), path
            assert "lee@vendor.example" in text(page), path
            assert 'action="/notices/confirm"' not in page, path
            assert 'type="checkbox"' not in page, path
        assert (await chosen(web, "release", 1)).status_code == 403
        form = {"do": "release", "numbers": "1", "asked": "1", "reason": "x"}
        assert (await web.browser.post("/notices/act", data=form, headers=OUR_OWN)).status_code == 403
    assert (await status_of(held))[1] == "held"


async def test_altered_forms_do_nothing(held: Database) -> None:
    """A page says so; none is an error of ours, and no range of numbers fills the memory."""
    base = {"do": "release", "which": "all", "reason": "x"}
    forms = [base | {"all": numbers} for numbers in ("", "x", "5-1", "1-999999999999", "9" * 5000, "-1", "1.5")]
    forms += [base | {"which": "chosen"}, base | {"which": "some", "all": "1"}, base | {"do": "delete", "all": "1"}]
    async with site(held) as web:
        for form in forms:
            answer = await web.browser.post("/notices/confirm", data=form, headers=OUR_OWN)
            assert answer.status_code == 422, form
        unknown = await chosen(web, "release", 99, 2**31 - 1)
        assert "2 numbers belong to no email." in text(unknown.text)
        assert unknown.status_code == 409
    assert (await status_of(held))[1] == "held"


async def test_a_wave_of_every_size_is_decided_at_once(held: Database) -> None:
    """More numbers than a statement of either database takes."""
    form = {"do": "release", "which": "all", "all": "1-40000", "reason": "x"}
    async with site(held) as web:
        page = (await web.browser.post("/notices/confirm", data=form, headers=OUR_OWN)).text
        assert "Send 5 emails to 5 readers?" in text(page)
        numbers = hidden_fields(page) | {"numbers": form["all"]}
        answer = await web.browser.post("/notices/act", data=numbers, headers=OUR_OWN, follow_redirects=True)
    assert "5 of 40,000 released; 39,995 were no longer held." in text(answer.text)


async def test_an_email_is_shown_whole(held: Database) -> None:
    """Headers, text, why, the change with its two moments, what operators did; it can be decided about there."""
    await operator_actions.release(held, NOW, "lee", "a test", [2])
    async with site(held) as web:
        page = (await web.browser.get("/notices/1")).text
        said = text(page)
        assert "Held since 14:05 : an email to Dana Reyes about Burst0 . It waits for an operator." in said
        assert "To Dana Reyes , dana+burst0@vendor.example From monitor@vendor.example" in said
        assert "Hello Dana Reyes, Our integration can no longer" in said
        assert "Burst0 GET: List offers seen missing 13:50" in said
        assert hidden_fields(page)["n"] == "1"
        released = text((await web.browser.get("/notices/2")).text)
        assert "14:05 lee : released, “ a test ”" in released
        assert "Decide" not in released


async def test_what_left_the_hold_by_itself_says_so(held: Database) -> None:
    """An email that recovered, and one whose place a newer one took, were dropped by no operator."""
    world = ComposerHarness(held)
    world.credentials = {f"burst{number}": number + 1 for number in range(HELD)}
    later = NOW + 2 * SETTLE
    await world.add_event(EventKind.REGAINED, "GET: List offers", "burst0", at=later - SETTLE)
    await world.add_event(EventKind.LOST, "GET: List jobs", "burst1", at=later - SETTLE)
    await world.run(later)
    async with site(held) as web:
        recovered = text((await web.browser.get("/notices/1")).text)
        assert "nothing was left to report" in recovered
        assert "Dropped: an email to" in recovered.replace(" :", ":")
        assert "A newer email about the same tenant took its place" in text((await web.browser.get("/notices/2")).text)
        listed = text((await web.browser.get("/notices?status=dropped")).text)
    assert listed.count("by itself: recovered, or in a newer email") == 2


async def test_unknown_numbers_are_not_found(held: Database) -> None:
    """Whatever stands in their place."""
    async with site(held) as web:
        for number in ("0", "99", str(2**31), str(2**63), "9" * 30, "9" * 5000, "-1", "1.0", "x", "١"):
            for path in (f"/notices/{number}", f"/notices/{number}/html"):
                assert (await web.browser.get(path)).status_code == 404, path
        for query in ("after=x", "after=WzEsMl0"):
            assert (await web.browser.get(f"/notices?{query}")).status_code == 400, query
        for query in ("done=x&asked=y", f"done={2**63}", "status=x", "reader=%25_%5C"):
            assert (await web.browser.get(f"/notices?{query}")).status_code == 200, query


async def test_hostile_names_stay_text(sqlite: Database) -> None:
    """In every page; the HTML part runs nothing, loads nothing, and is an origin of its own."""
    hostile = '<script>alert(1)</script>"><img src=x onerror=alert(1)>\u202e'
    world = ComposerHarness(sqlite)
    await world.add_tenant("acme", name=f"Acme {hostile}", csm_name=f"Dana {hostile}")
    await world.add_event(EventKind.LOST, hostile, "acme")
    await world.run()
    await change(sqlite, 1, status=Status.HELD, last_error=hostile, recipient=f"x{hostile}@vendor.example")
    async with site(sqlite) as web:
        answers = [await web.browser.get(path) for path in ("/notices", "/notices?status=held", "/notices/1")]
        answers += [await chosen(web, "release", 1, reason=hostile)]
        answers += [await confirmed(web, answers[-1].text), await web.browser.get("/notices/1/html")]
    for answer in answers:
        assert answer.status_code == 200, answer.url
        assert "<script>alert" not in answer.text, answer.url
        assert "<img" not in answer.text, answer.url
    policy = answers[-1].headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert all("script-src 'self'" in answer.headers["Content-Security-Policy"] for answer in answers[:-1])


async def test_deleted_text_is_told(held: Database) -> None:
    """Long after an email was sent, its text is gone: the page says so, and the HTML part is not found."""
    await change(held, 1, status=Status.SENT, sent_at=NOW, text="", html="")
    async with site(held) as web:
        assert "Its text was deleted" in (await web.browser.get("/notices/1")).text
        assert (await web.browser.get("/notices/1/html")).status_code == 404


async def test_a_page_takes_few_statements(held: Database) -> None:
    """However many rows; without those of the sign-in."""
    await operator_actions.release(held, NOW, "lee", "a test", [2])
    async with site(held) as web:
        with statements(held) as seen:
            await web.browser.get("/who")
            sign_in = len(seen)
        for path in (
            "/notices",
            "/notices?done=2&asked=3&tenant=burst&reader=dana",
            "/notices?status=held",
            "/notices/1",
        ):
            with statements(held) as seen:
                assert (await web.browser.get(path)).status_code == 200
            assert len(seen) - sign_in <= 8, (path, seen)
        with statements(held) as seen:
            await chosen(web, "release", 1, 2, 3)
        assert len(seen) - sign_in <= 8, seen


async def test_without_notices_the_pages_say_so(sqlite: Database) -> None:
    """Nothing to decide, nothing to list, nothing broken."""
    async with site(sqlite) as web:
        page = (await web.browser.get("/notices")).text
        assert "No email is held No email was written so far" in re.sub(r"Emails, newest.*?dropped 0 ", "", text(page))
        assert 'id="decide"' not in page
        for status in Status:
            assert "No email is " in (await web.browser.get(f"/notices?status={status}")).text, status
        assert (await web.browser.get("/api/v1/notices")).json() == {"items": [], "next": None}


async def test_the_same_on_postgres(database: Database) -> None:
    """Listed, filtered, shown and released on both databases."""
    world = ComposerHarness(database)
    await world.burst(EventKind.LOST, HELD)
    await world.run()
    async with site(database) as web:
        paths = ("/notices", "/notices?tenant=burst1&reader=dana", "/notices?status=held&tenant=Burst", "/notices/1")
        for path in paths:
            answers = await asyncio.gather(*(web.browser.get(path) for _ in range(2)))
            assert {answer.status_code for answer in answers} == {200}, path
        assert "2 released." in text((await confirmed(web, (await chosen(web, "release", 1, 2)).text)).text)
        for number in (2**31 - 1, 2**31, 2**63 - 1, 2**63):
            assert (await web.browser.get(f"/notices/{number}")).status_code == 404, number
            after = NOTICES.keyset.cursor(NoticePlace(True, number))
            expected = 200 if number < 2**31 else 400
            assert (await web.browser.get(f"/notices?after={after}")).status_code == expected, number
