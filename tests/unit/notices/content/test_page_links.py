"""The links of emails: to the very page, for our own readers only, and none until the address of the pages is known."""

import re
from html.parser import HTMLParser
from typing import get_args
from urllib.parse import unquote, urlsplit

import pytest

from monitor.drift import EventKind
from monitor.notices.content.fallback_text import fallback_text
from monitor.notices.content.messages import BrakeMessage, Message
from monitor.notices.content.page_links import PageLink, PageLinks, tenant_page
from monitor.notices.content.render import RenderedMessage, Renderer
from monitor.notices.content.retired_message import RetiredMessage
from tests.messages import HOSTILE, an_alarm, messages_about_retired_keys, messages_of_every_kind
from tests.notices import a_cause, composed, for_operator

PUBLIC_URL = "https://monitor.vendor.example/hm"
RENDERER = Renderer(public_url=PUBLIC_URL)
LINKS = PageLinks(PUBLIC_URL)
RULER = "-" * 60
ID = "a/../b?c=<i>\"'&d#e%41 ü"


class _Anchors(HTMLParser):
    """The links of a page with their visible text, and of which of them the block to forward has any."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[PageLink] = []
        self.forwarded: list[str] = []
        self.blocks = 0
        self._open: list[bool] = []
        self._address: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "div":
            is_block = "border-left:4px" in (given.get("style") or "")
            self.blocks += is_block
            self._open.append(is_block)
        elif tag == "a":
            assert set(given) <= {"href", "style"}
            self._address = given["href"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "div":
            self._open.pop()
        elif tag == "a":
            self._address = None

    def handle_data(self, data: str) -> None:
        if self._address is not None:
            self.found.append(PageLink(data, self._address))
        if any(self._open):
            self.forwarded.append(f"{data} {self._address or ''}")


def _in_text(text: str) -> list[PageLink]:
    """Each line that is an address and nothing else, with the line above it."""
    found = re.findall(r"^ *(.+):\n *(http\S+)$", text, re.M)
    assert len(found) == len(re.findall(r"https?:", text))
    return [PageLink(words, address) for words, address in found]


def _about_hostile_ids() -> list[Message]:
    causes = [
        composed(a_cause(kind, permission, ID, notified_in=1)).drafts[0].message
        for kind, permission in ((EventKind.LOST, "p"), (EventKind.REGAINED, "p"), (EventKind.CREDENTIAL_FAILED, None))
    ]
    return [*causes, composed(for_operator(EventKind.FOUND, "p", ID)).drafts[0].message]


def _rendered(message: Message) -> RenderedMessage:
    rendered = RENDERER.render(message)
    assert rendered.problem == ""
    return rendered


def test_every_email_leads_to_its_page_in_text_page_and_fallback_text(subtests: pytest.Subtests) -> None:
    """The same links in all three; in the text, each address is alone on its line, so that mail programs link it."""
    linked = set()
    for text in ("Acme", HOSTILE):
        for number in (1, 3, 60):
            # What does not fit into an email leaves out links, too.
            for message in filter(RENDERER.fits, messages_of_every_kind(text, number)):
                with subtests.test(template=message.template, number=number):
                    links, rendered = list(LINKS.all_in(message)), _rendered(message)
                    assert links
                    assert list(dict.fromkeys(_in_text(rendered.text))) == links
                    assert list(dict.fromkeys(_Anchors(rendered.html).found)) == links
                    fallback = fallback_text(message, LINKS)
                    for link in links:
                        assert f"\n{link.words}:\n{link.address}\n" in fallback
                    linked.add(message.template)
    assert linked == {kind.template for kind in get_args(Message)}


def test_without_an_address_of_the_pages_there_is_no_link(subtests: pytest.Subtests) -> None:
    """As the setting's text says: no address, no words that lead nowhere."""
    renderer = Renderer()
    for message in messages_of_every_kind("Acme", 3):
        with subtests.test(template=message.template):
            rendered = renderer.render(message)
            for words in (rendered.text, rendered.html, fallback_text(message, PageLinks())):
                assert not re.search(r"https?:|href| in Harvest Monitor", words)


def test_what_is_forwarded_to_a_customer_has_no_link(subtests: pytest.Subtests) -> None:
    """In neither part of any email, and it says nothing of our pages."""
    blocks = 0
    for number in (1, 3):
        for message in (*messages_of_every_kind("Acme", number), *_about_hostile_ids()):
            with subtests.test(template=message.template, number=number):
                rendered = _rendered(message)
                page = _Anchors(rendered.html)
                # A digest has the same rulers as lines below its headings.
                forwarded = rendered.text.split(f"{RULER}\n\n")[1::2] if f"{RULER}\n\nHello" in rendered.text else []
                assert len(forwarded) == page.blocks
                for words in (*forwarded, *page.forwarded):
                    assert not re.search(r"http|vendor\.example|Harvest Monitor|tenants/", words)
                blocks += page.blocks
    assert blocks > 10


def test_a_link_stands_above_what_is_forwarded(subtests: pytest.Subtests) -> None:
    """At the end of what is for the CSM: so nobody takes it along with the block."""
    for kind in (EventKind.LOST, EventKind.CREDENTIAL_FAILED):
        with subtests.test(kind=kind):
            cause = a_cause(kind, "p" if kind is EventKind.LOST else None)
            rendered = _rendered(composed(cause).drafts[0].message)
            for words in (rendered.text, rendered.html):
                before, _, after = words.partition("Copy this part")
                assert f"{PUBLIC_URL}/tenants/acme" in before
                assert PUBLIC_URL not in after


def test_every_page_is_one_that_exists_and_only_shows() -> None:
    """Addresses that GET answers; a link that acts would act for whoever has the email."""
    pages = r"/|/notices(\?status=(held|failed|pending))?|/sweeps|/writes|/tenants/[\w.%-]+"
    for message in messages_of_every_kind("Acme", 60):
        for link in LINKS.all_in(message):
            assert re.fullmatch(pages, link.address.removeprefix(PUBLIC_URL)), link


def test_an_email_to_the_operator_leads_to_what_it_is_about() -> None:
    wanted = {
        "brake": "/notices?status=held",
        "failed": "/notices?status=failed",
        "alarm": "/writes",
        "pause": "/sweeps",
        "resume": "/sweeps",
        "template": "/notices",
    }
    messages = {message.template: message for message in messages_of_every_kind("Acme", 1)}
    for template, path in wanted.items():
        assert [link.address for link in LINKS.all_in(messages[template])] == [PUBLIC_URL + path]


def test_a_digest_leads_to_each_tenant_and_to_all_if_some_are_in_short() -> None:
    """Below the news of a tenant is its page; those for which there is no room are on the overview."""
    for number, last in ((3, "/tenants/t2"), (60, "/")):
        causes = [for_operator(EventKind.FOUND, "p", f"t{n}", credential_id=n) for n in range(number)]
        message = composed(*causes).drafts[0].message
        links = LINKS.all_in(message)
        assert links[0] == PageLink("T0 in Harvest Monitor", f"{PUBLIC_URL}/tenants/t0")
        assert links[-1].address == PUBLIC_URL + last
        news = _rendered(message).text.split("\nT1 (t1)")
        assert f"{PUBLIC_URL}/tenants/t0" in news[0]
        assert f"{PUBLIC_URL}/tenants/t1" in news[1]


def test_the_email_about_retired_keys_leads_to_each_customer() -> None:
    """Whether the scopes that a customer needs are known or not."""
    _, known_and_unknown, *_ = messages_about_retired_keys("Acme", 3)
    assert isinstance(known_and_unknown, RetiredMessage)
    addresses = [link.address for link in LINKS.all_in(known_and_unknown)]
    assert addresses == [f"{PUBLIC_URL}/tenants/t{n}" for n in range(3)]
    assert len(_in_text(_rendered(known_and_unknown).text)) == 9  # in each of the three lists


def test_a_hostile_id_stays_one_step_of_the_path(subtests: pytest.Subtests) -> None:
    """Ids come from a file: none ends the path, the attribute or the line, or leads anywhere else."""
    for tenant_id in (ID, "//evil.example", "?x", "#x", "\r\nhttps://evil.example", 'x" onclick="y', "a b", "%2e%2e"):
        with subtests.test(tenant_id=tenant_id):
            step = tenant_page(tenant_id).removeprefix("/tenants/")
            assert re.fullmatch(r"[A-Za-z0-9._~%-]+", step)
            assert unquote(step) == tenant_id
    for message in _about_hostile_ids():
        with subtests.test(template=message.template):
            (link,) = LINKS.all_in(message)
            rendered = _rendered(message)
            (shown,) = _Anchors(rendered.html).found
            assert shown == link
            parts = urlsplit(shown.address)
            assert (parts.scheme, parts.netloc, parts.query) == ("https", "monitor.vendor.example", "")
            assert unquote(parts.path) == f"/hm/tenants/{ID}"
            assert _in_text(rendered.text) == [link]


def test_links_are_given_with_the_words_that_the_reader_sees() -> None:
    assert LINKS.of(an_alarm()) == PageLink("Write probes in Harvest Monitor", f"{PUBLIC_URL}/writes")
    assert PageLinks().of(BrakeMessage(())) is None
