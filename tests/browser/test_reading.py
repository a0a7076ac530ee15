"""Reading the pages by other ways: keyboard, paper, larger text, forced colours, the table behind a picture."""

import pytest

from tests.browser.reader import PHONE, WIDE, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Of radio buttons with one name the keyboard reaches one.
REACHABLE = """() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
  .filter(one => one.checkVisibility() && one.type !== 'hidden' && one.type !== 'radio').length"""
FOCUS = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
  const inWindow = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const seen = style.outlineStyle !== 'none' && inWindow;
  return {name: one.outerHTML.slice(0, 120), seen, last: one === document.body, radio: one.type === 'radio'};
}"""
CLIPPED = """() => [...document.querySelectorAll('main *')].filter(one => getComputedStyle(one).overflowX === 'hidden'
  && !one.closest('.unseen, svg') && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1))
  .map(one => one.outerHTML.slice(0, 120))"""
INVISIBLE = """() => [...document.querySelectorAll('main .mark')].filter(one => one.checkVisibility()
  && [getComputedStyle(document.body).backgroundColor, 'rgba(0, 0, 0, 0)'].includes(getComputedStyle(one).color))
  .map(one => one.parentNode.outerHTML.slice(0, 120))"""


async def test_the_first_tab_skips_to_the_content(site: Site) -> None:
    """The link is seen once it has the focus, and leads past the navigation."""
    async with site.reader() as reader:
        await reader.open("/history")
        await reader.page.keyboard.press("Tab")
        skip = reader.page.get_by_role("link", name="Skip to content")
        box = await skip.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        await reader.page.keyboard.press("Enter")
        await reader.page.keyboard.press("Tab")
        assert await reader.page.evaluate("document.querySelector('main').contains(document.activeElement)")


async def test_everything_is_reached_by_tab_and_seen_when_it_is(site: Site) -> None:
    """In turn, without an end before the last one."""
    async with site.reader() as reader:
        for path in ("/?q=wonka", "/writes", "/tenants/quartzline", "/sessions"):
            await reader.open(path)
            expected, reached = await reader.page.evaluate(REACHABLE), 0
            for _ in range(expected + 5):
                await reader.page.keyboard.press("Tab")
                focus = await reader.page.evaluate(FOCUS)
                if focus["last"]:
                    break
                assert focus["seen"], (path, focus["name"])
                reached += not focus["radio"]
            assert reached == expected, path


async def test_paper_has_no_navigation(site: Site) -> None:
    """Neither forms nor buttons; the tables are there, with black on white in the dark, too."""
    async with site.reader(color_scheme="dark") as reader:
        for path in ("/", "/tenants/initech", "/tenants/initech/report", "/report", "/history"):
            await reader.open(path)
            await reader.page.emulate_media(media="print")
            for hidden in (".bar", ".filter", "button", ".button", ".pager", ".skip"):
                shown = await reader.page.locator(hidden).evaluate_all(
                    "all => all.filter(one => one.checkVisibility()).length"
                )
                assert shown == 0, (path, hidden)
            assert await reader.page.locator("h1").is_visible(), path
            colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
            assert await reader.page.evaluate(colours) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"], path
            await reader.page.emulate_media(media="screen")


async def test_text_twice_as_large_loses_nothing(site: Site) -> None:
    """Nothing is cut off, and the page does not scroll sideways; on a phone, too."""
    async with site.reader() as reader:
        for path in ("/", "/notices", "/tenants/globex", "/writes", "/permissions", "/sessions", "/history", "/report"):
            await reader.open(path)
            await reader.page.evaluate("document.documentElement.style.fontSize = '200%'")
            for width in (WIDE, PHONE):
                await reader.resize(width)
                assert await reader.sideways() <= 0, (path, width)
                clipped = [one for one in await reader.page.evaluate(CLIPPED) if not one.startswith('<li title="')]
                assert clipped == [], (path, width)


async def test_forced_colours_keep_every_shape(site: Site) -> None:
    """A shape says the status where colours do not."""
    async with site.reader(forced_colors="active") as reader:
        for scheme in ("light", "dark"):
            await reader.page.emulate_media(color_scheme=scheme, forced_colors="active")  # type: ignore[arg-type]
            for path in ("/", "/tenants/initech", "/notices"):
                await reader.open(path)
                assert await reader.page.evaluate(INVISIBLE) == [], (scheme, path)


async def test_the_timeline_is_a_table_as_well(site: Site) -> None:
    """Each span with its beginning, its end and its group; without script, too."""
    async with site.reader(java_script_enabled=False) as reader:
        await reader.open("/tenants/initech")
        await reader.page.get_by_text("The same as a table").click()
        table = reader.page.get_by_role("table", name="Spans, newest first")
        words = " ".join((await table.inner_text()).split())
        assert "Sun 08:25 now Offers missing GET: Retrieve offer" in words
