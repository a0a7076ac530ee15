"""What people do on the pages, as they do it: with a mouse, a reason and a second page that asks."""

import re

import pytest
from playwright.async_api import expect
from sqlalchemy import select

from monitor.notices.notice import Status
from monitor.store.burst_tables import BURST
from monitor.store.tables import CREDENTIAL, NOTICE, OPERATOR_ACTION
from monitor.web.auth.role import AccessRole
from tests.browser.reader import Reader, Site
from tests.browser.world import Answers
from tests.store import check, rows

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACTED_ON = ("/notices", "/notices?status=failed", "/notices/{held}", "/writes", "/tenants/initech", "/bursts/{burst}")


async def first(site: Site, status: Status) -> int:
    async with site.web.db.reading() as conn:
        found = select(NOTICE.c.id).where(NOTICE.c.status == status).order_by(NOTICE.c.id).limit(1)
        return int((await conn.execute(found)).scalar_one())


async def statuses(site: Site) -> dict[int, str]:
    return {row["id"]: row["status"] for row in await rows(site.web.db, NOTICE)}


async def press(reader: Reader, name: str) -> None:
    await reader.follow(reader.page.get_by_role("button", name=name, exact=True))


async def confirm(reader: Reader) -> None:
    """On the second page, press the button that does it."""
    await reader.follow(reader.page.locator("main button.first"))


async def give_reason(reader: Reader, reason: str) -> None:
    await reader.page.get_by_label(re.compile("kept with your name")).fill(reason)


async def choose_two(reader: Reader) -> None:
    boxes = reader.page.locator("#rows input[type=checkbox]")
    await boxes.nth(0).check()
    await boxes.nth(1).check()
    await reader.page.get_by_label("those ticked in the list").check()


async def test_a_link_signs_in_once(empty_site: Site) -> None:
    """Its page says as whom; its button leads to the overview. A second time it says that it was used."""
    async with empty_site.reader(None) as reader:
        link = await empty_site.web.link(AccessRole.VIEWER, "kim")
        await reader.open(link)
        await expect(reader.page.locator("h1")).to_have_text("Sign in as kim")
        await press(reader, "Sign in")
        assert reader.page.url == f"{reader.url}/"
        await expect(reader.page.locator(".who")).to_have_text("kim, viewer")
        assert await reader.open(link) == 410


async def test_emails_are_released_and_dropped_after_a_second_page(own_site: Site) -> None:
    """With script and without: the second page repeats what will happen, and the list says what was done."""
    before = await statuses(own_site)
    for script, act, asked, done in (
        (True, "Release …", "Send 2 emails to", "2 released."),
        (False, "Drop …", "Drop 2 emails to", "2 dropped."),
    ):
        async with own_site.reader(java_script_enabled=script) as reader:
            await reader.open("/notices?status=held")
            await choose_two(reader)
            await give_reason(reader, "ticket 12")
            await press(reader, act)
            assert asked in await reader.main()
            assert "ticket 12" in await reader.main()
            assert list((await statuses(own_site)).values()).count("held") == 41 - 2 * (act == "Drop …")
            await confirm(reader)
            await expect(reader.page.get_by_role("status")).to_contain_text(f"{done} By dana")
            assert reader.page.url.startswith(f"{reader.url}/notices?done=")
    changed = {number for number, status in (await statuses(own_site)).items() if before[number] != status}
    assert len(changed) == 4


async def test_a_failed_email_is_tried_again(own_site: Site) -> None:
    """From its own page."""
    number = await first(own_site, Status.FAILED)
    async with own_site.reader() as reader:
        await reader.open(f"/notices/{number}")
        await give_reason(reader, "the address was mistyped")
        await press(reader, "Try again …")
        await confirm(reader)
        await expect(reader.page.get_by_role("status")).to_contain_text("the address was mistyped")
    assert (await statuses(own_site))[number] == "pending"


async def test_the_second_of_two_operators_is_told(own_site: Site) -> None:
    """Both have the second page open for one email; nothing is done twice, and the first one's reason is shown."""
    number = await first(own_site, Status.HELD)
    async with own_site.reader(name="dana") as dana, own_site.reader(name="lee") as lee:
        for reader, act in ((dana, "Release …"), (lee, "Drop …")):
            await reader.open(f"/notices/{number}")
            await give_reason(reader, f"seen by {act}")
            await press(reader, act)
        for reader in (dana, lee):
            await confirm(reader)
        assert "released by dana" in await lee.main()
        assert "seen by Release" in await lee.main()
    assert (await statuses(own_site))[number] == "pending"


async def test_write_probes_go_out_again_after_a_second_page(own_site: Site) -> None:
    """The page then says that none is halted, and who lifted the halt for which reason."""
    async with own_site.reader() as reader:
        await reader.open("/writes")
        await give_reason(reader, "support: nothing was changed")
        await press(reader, "Resume …")
        await press(reader, "Let write probes go out again")
        assert reader.page.url == f"{reader.url}/writes"
        assert "by dana “support: nothing was changed”" in await reader.main()
        assert await reader.page.get_by_role("button", name="Resume …").count() == 0


async def test_a_check_is_asked_for_and_its_result_shown(own_site: Site) -> None:
    """The page waits, and shows the result by itself when it is there; asked again at once, it says when it may be."""
    async with own_site.web.db.reading() as conn:
        mine = select(CREDENTIAL.c.id).where(CREDENTIAL.c.tenant_id == "initech")
        credential = (await conn.execute(mine)).scalar_one()
    async with own_site.reader() as reader:
        own_site.clock.forward(minutes=15)
        await reader.page.clock.install()
        await reader.open("/tenants/initech")
        await press(reader, "Check now")
        await expect(reader.page.get_by_role("status")).to_contain_text("Check asked for 14:40, waiting.")
        own_site.clock.forward(seconds=5)
        now = own_site.clock.now
        await check(
            own_site.web.db, Answers().report(now), now, credential_id=credential, fingerprint=f"{credential:016x}"
        )
        await reader.page.clock.run_for(5_000)
        await expect(reader.page.get_by_role("status")).to_have_count(0)
        await expect(reader.page.locator("main")).to_contain_text("14:40; next")
        await press(reader, "Check now")
        assert "ask again at 14:50" in await reader.main()


async def test_a_viewer_has_no_form_that_acts(site: Site) -> None:
    """In its place stands who may act."""
    async with site.web.db.reading() as conn:
        burst = (await conn.execute(select(BURST.c.id).order_by(BURST.c.tenants.desc()).limit(1))).scalar_one()
    async with site.reader(AccessRole.VIEWER, "kim") as reader:
        for path in ACTED_ON:
            await reader.open(path.format(held=await first(site, Status.HELD), burst=burst))
            assert await reader.page.locator("form[method=post]").count() == 0, path
            assert "you are a viewer" in await reader.main(), path
            assert "dana@vendor.example, lee@vendor.example" in await reader.main(), path


async def test_a_session_that_ends_in_mid_form_loses_nothing(own_site: Site) -> None:
    """What was written stands on the page that says so; after signing in on another page it is sent on."""
    number = await first(own_site, Status.HELD)
    async with own_site.reader(name="dana") as reader:
        await reader.open(f"/notices/{number}")
        await give_reason(reader, "a long story, at three in the morning")
        own_site.clock.forward(days=8)
        await press(reader, "Release …")
        await expect(reader.page.locator("h1")).to_have_text("You are signed out; nothing was done")
        await expect(reader.page.locator("main")).to_contain_text("a long story, at three in the morning")
        other = await reader.page.context.new_page()
        await other.goto(await own_site.web.link(AccessRole.OPERATOR, "dana"))
        await other.get_by_role("button", name="Sign in").click()
        await other.wait_for_url(f"{reader.url}/")
        await press(reader, "Send it again")
        await expect(reader.page.locator("main")).to_contain_text("a long story, at three in the morning")
        await confirm(reader)
        await expect(reader.page.get_by_role("status")).to_contain_text("1 released. By dana")
    assert "a long story, at three in the morning" in [
        act["reason"] for act in await rows(own_site.web.db, OPERATOR_ACTION)
    ]
