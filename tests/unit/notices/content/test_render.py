"""The words of every email: right in number, escaped, the same in text and HTML, and safe to forward."""

import itertools
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import get_args

import pytest
from jinja2 import UndefinedError

from checks.v3.verdicts import ROLE_ID
from monitor.config.settings import NoticesMode
from monitor.drift import EventKind
from monitor.notices.causes import PendingCause, StillMissing
from monitor.notices.content.credential_news import Coverage
from monitor.notices.content.messages import Message, V1Keys
from monitor.notices.content.news_from_causes import Background
from monitor.notices.content.render import LONGEST_SUBJECT, RenderedMessage, Renderer
from monitor.notices.wording import counted, duration
from tests.messages import HOSTILE, LONG, UNICODE, an_alarm, messages_of_every_kind
from tests.notices import NOW, a_cause, composed, for_operator

LOST, REGAINED, FOUND = EventKind.LOST, EventKind.REGAINED, EventKind.FOUND
FAILED, RECOVERED = EventKind.CREDENTIAL_FAILED, EventKind.RECOVERED
RENDERER = Renderer()
LINKED = Renderer(public_url="https://monitor.vendor.example")
RULER = "-" * 60


class _Words(HTMLParser):
    """The visible text of a page, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["title"]:
            self.pieces.append(data)


def _visible(html: str) -> str:
    words = _Words()
    words.feed(html)
    return " ".join(" ".join(words.pieces).split())


def _worded(
    *causes: PendingCause, mode: NoticesMode = NoticesMode.CSM, background: Background | None = None
) -> RenderedMessage:
    (draft, *_) = composed(*causes, mode=mode, background=background).drafts
    return RENDERER.render(draft.message)


def _forwarded(words: RenderedMessage) -> str:
    return words.text.split(RULER)[1]


@pytest.mark.parametrize("text", ["Acme", UNICODE, LONG, HOSTILE], ids=["plain", "unicode", "long", "hostile"])
@pytest.mark.parametrize("number", [1, 3, 60])
def test_every_template_words_every_message(text: str, number: int) -> None:
    """Whatever the names contain, every part can be rendered, in one line or escaped once, with nothing undefined."""
    kinds = set()
    for message in messages_of_every_kind(text, number):
        kinds.add(message.template)
        words = RENDERER.render(message)
        assert 0 < len(words.subject) <= LONGEST_SUBJECT
        assert words.subject.isprintable()
        assert "<script" not in words.html
        assert "\r" not in words.text
        assert "&amp;lt;" not in words.html
        assert "&amp;amp;" not in words.html
        assert "None" not in words.text
        assert "54439" not in words.text  # {{ 7 * 7777 }} stays as it is
        assert "\n\n\n\n" not in words.text
    assert kinds == {kind.template for kind in get_args(Message)}


def test_a_foreign_line_break_forges_no_line() -> None:
    """A name cannot start a line of its own, neither in the subject nor in the text."""
    for message in messages_of_every_kind(HOSTILE, 2):
        words = RENDERER.render(message)
        assert "\n" not in words.subject
        assert not any(line.startswith("Bcc:") for line in words.text.splitlines())
        assert not any(mark in words.text for mark in "\x00\u2028\u202e")


def test_html_is_escaped_and_text_is_not() -> None:
    """Labels are in the text letter for letter, and on the page as text."""
    words = _worded(a_cause(LOST, "GET: <b>R&D</b> application’s offers"))
    assert "GET: <b>R&D</b> application’s offers" in words.text
    assert "(<b>R&D</b> application’s offers)" in words.subject
    assert "GET: &lt;b&gt;R&amp;D&lt;/b&gt; application’s offers" in words.html
    assert "<b>R&D" not in words.html


def test_text_and_page_say_the_same() -> None:
    """Every word of the text, except rulers, bullets and the addresses of links, is on the page, in the same order."""
    for number, renderer in itertools.product((1, 3, 60), (RENDERER, LINKED)):
        for message in filter(renderer.fits, messages_of_every_kind("Acme & Söhne", number)):
            words = renderer.render(message)
            text = [
                word
                for word in words.text.split()
                if re.search(r"\w", word) and not re.fullmatch(r"[0-9]\.|https://\S+", word)
            ]
            page = iter(_visible(words.html).split())
            plain = [re.sub(r"[^\w]", "", word) for word in text]
            shown = [re.sub(r"[^\w]", "", word) for word in page]
            assert "".join(plain) == "".join(shown)


def test_an_email_loads_nothing() -> None:
    """Nothing in an email acts, tracks or is fetched: no images, forms, scripts or style sheets."""
    for message, renderer in itertools.product(messages_of_every_kind("Acme", 2), (RENDERER, LINKED)):
        words = renderer.render(message)
        parser = _Words()
        parser.feed(words.html)
        assert not set(parser.tags) & {"img", "form", "script", "link", "style", "iframe", "button", "input"}
        assert not re.search(r"mailto:|url\(|src=", words.html + words.text)


@pytest.mark.parametrize(
    ("causes", "subject"),
    [
        ([a_cause(LOST, "GET: List offers")], "Acme: Greenhouse permission missing (List offers)"),
        (
            [
                a_cause(LOST, "GET: List offers"),
                a_cause(LOST, "GET: List jobs", permission_group="Jobs"),
                a_cause(LOST, "GET: List tags", permission_group="Tags"),
            ],
            "Acme: 3 Greenhouse permissions missing (Offers, Jobs, Tags)",
        ),
        (
            [a_cause(LOST, f"GET: List {name}", permission_group=name) for name in ("Jobs", "Offers", "Tags", "Users")],
            "Acme: 4 Greenhouse permissions missing (Jobs, Offers, Tags, …)",
        ),
        ([a_cause(REGAINED, "GET: List offers", notified_in=1)], "Acme: Greenhouse permission restored (List offers)"),
        (
            [a_cause(REGAINED, "GET: List offers", notified_in=1), a_cause(REGAINED, "GET: List jobs", notified_in=1)],
            "Acme: 2 Greenhouse permissions restored (List offers, List jobs)",
        ),
        ([a_cause(FAILED)], "Acme: our integration has lost access to Greenhouse"),
        ([a_cause(FAILED), a_cause(FAILED, credential_id=2)], "Acme: our integration has lost access to Greenhouse"),
        ([a_cause(RECOVERED, notified_in=1)], "Acme: our integration has access to Greenhouse again"),
        (
            [a_cause(LOST, "GET: List offers"), a_cause(REGAINED, "GET: List jobs", notified_in=1), a_cause(FAILED)],
            "Acme: our integration has lost access to Greenhouse, Greenhouse permission missing (List offers), "
            "Greenhouse permission restored (List jobs)",
        ),
    ],
)
def test_a_subject_says_it_all_on_a_lock_screen(causes: list[PendingCause], subject: str) -> None:
    """Customer first, then what happened, and in short to which permissions."""
    assert _worded(*causes).subject == subject


def test_the_first_sentence_says_what_broke_and_for_whom() -> None:
    """The beginning is enough: what cannot be done, where, and how much is missing; then since when, and whose move."""
    background = Background(effects={"GET: List offers": "list offers"}, coverage={1: Coverage(63, 1)})
    _, first, facts, move, *_ = _worded(a_cause(LOST, "GET: List offers"), background=background).text.split("\n\n")
    assert first == (
        "Our integration can no longer list offers in Acme's Greenhouse account: 1 of the 63 permissions it needs is "
        "missing."
    )
    assert facts == (
        "The API credential “Gem Harvest API Key” still works, but lost this permission between 10:05 and 13:44 UTC on "
        "23 Nov 2026."
    )
    assert move == (
        "Your move: copy the framed part below into an email to Acme; the rest is for you. You get another email when "
        "it is restored."
    )


def test_permissions_stand_by_group_in_the_order_of_the_events() -> None:
    """Groups and labels are those of Greenhouse, in the manifest's order, not in alphabetical order."""
    causes = [
        a_cause(LOST, "GET: List Openings for a job", permission_group="Job Openings"),
        a_cause(LOST, "POST : Reject Application", permission_group="Applications"),
        a_cause(LOST, "GET: List Applications", permission_group="Applications"),
    ]
    boxes = _forwarded(_worded(*causes))
    assert re.search(
        r"Job Openings\n   \[ \] GET: List Openings for a job\n"
        r"   Applications\n   \[ \] POST : Reject Application\n   \[ \] GET: List Applications\n",
        boxes,
    )


def test_one_window_covers_all_that_was_lost() -> None:
    """When it happened, in UTC: after a check that saw some of it granted, and by the first that saw all missing."""
    one, later = (
        a_cause(LOST, "GET: List offers"),
        a_cause(LOST, "GET: List jobs", first_seen=NOW - timedelta(minutes=1)),
    )
    assert "between 10:05 and 14:04 UTC on 23 Nov 2026." in _worded(one, later).text
    never_granted = a_cause(LOST, "GET: List tags", seen_before=None)
    assert (
        "The API credential “Gem Harvest API Key” still works, but lost them by 13:44 UTC on 23 Nov 2026."
        in _worded(one, never_granted).text
    )


def test_an_impact_stands_beside_its_permission() -> None:
    """What fails without a permission, by the manifest, is printed with it; without such a sentence nothing is."""
    background = Background({"GET: List offers": "Offers are not shown."})
    words = _worded(a_cause(LOST, "GET: List offers"), a_cause(LOST, "GET: List jobs"), background=background)
    assert "\n\n  - List offers: Offers are not shown.\n\nYour move" in words.text


def test_a_likely_mapping_is_marked_and_explained() -> None:
    """If it is not certain which box allows a request, CSM and customer read so."""
    words = _worded(a_cause(LOST, "POST: Move Application", mapping="likely"), a_cause(LOST, "GET: List jobs"))
    assert "   [ ] POST: Move Application (likely)\n   [ ] GET: List jobs\n" in words.text
    assert "Likely: Greenhouse does not document exactly which box allows this request." in words.text
    assert "If it is ticked already, just reply." in _forwarded(words)
    assert "ikely" not in _worded(a_cause(LOST, "GET: List jobs")).text


def test_the_customers_admin_is_told_where_to_go_and_what_to_tick() -> None:
    """The paragraph to forward is complete: the credential, the way, the right the admin needs, the boxes."""
    request = _forwarded(_worded(a_cause(LOST, "GET: List offers"), a_cause(LOST, "GET: List jobs")))
    for said in (
        "in your Greenhouse account (Acme)",
        "“Gem Harvest API Key”",
        "Configure › Dev Center › API Credential Management",
        "Manage Permissions",
        "Tick these 2 boxes and save",
        "[ ] GET: List offers",
        "[ ] GET: List jobs",
        "If you removed any of these on purpose, just reply.",
        "Thank you,\nDana Reyes\n",
    ):
        assert said in request
    right = "“Can manage ALL organization's API Credentials” (under Developer permissions)"
    assert request.index(right) < request.index("1. In Greenhouse")
    assert "vendor.example" not in request


@pytest.mark.parametrize(
    ("grant", "lost", "needed"),
    [
        ("custom", [ROLE_ID], False),  # making a user a Site Admin is not done in the Dev Center
        ("partner", [ROLE_ID], False),
        ("partner", ["offers"], False),
        ("custom", [ROLE_ID, "offers"], True),
        ("custom", ["offers"], True),
        (None, ["offers"], True),
    ],
)
def test_the_right_to_the_dev_center_is_asked_for_only_where_it_is_needed(
    grant: str | None, lost: list[str], needed: bool
) -> None:
    kind = "harvest-key" if grant is None else "harvest-oauth"
    words = _worded(*(a_cause(LOST, id_, credential_kind=kind, credential_grant=grant) for id_ in lost))
    for said in (_forwarded(words), _visible(words.html)):
        assert ("“Can manage ALL organization's API Credentials”" in said) is needed
        assert ("Site Admin" in said) is (ROLE_ID in lost or grant == "partner")


def test_a_refused_key_may_be_revoked_or_retired() -> None:
    """A refused key is never called mistyped, since Greenhouse retires such keys; none is asked for by email."""
    words = _worded(a_cause(FAILED))
    assert "revoked, or ended by Greenhouse; we cannot tell which" in words.text
    assert (
        "announced the end of credentials of this kind (Harvest API v1 and v2) for after 31 August 2026" in words.text
    )
    request = _forwarded(words)
    assert "never send a key or a secret by e-mail" in request
    assert "never send a key or a secret by e-mail" in _visible(words.html)


def test_an_oauth_credential_is_not_said_to_be_retired() -> None:
    """The retirement is of Harvest v1 and v2 keys only."""
    assert "retired" not in _worded(a_cause(FAILED, credential_kind="harvest-oauth")).text


def test_good_news_asks_for_nothing() -> None:
    """An email of recoveries only has nothing to forward, and says that nothing needs to be done."""
    words = _worded(a_cause(REGAINED, "GET: List offers", notified_in=1), a_cause(RECOVERED, notified_in=1))
    assert RULER not in words.text
    assert "Good news: there is nothing you need to do." in words.text
    assert "It came back between 10:05 and 13:44 UTC on 23 Nov 2026." in words.text


def test_good_news_says_how_long_it_lasted() -> None:
    """From the first check that saw it missing to the first that saw it again; of several, the longest."""
    began = {"GET: List offers": timedelta(hours=3, minutes=10), "GET: List jobs": timedelta(days=12)}
    back = [
        a_cause(REGAINED, label, notified_in=1, began_at=NOW - timedelta(minutes=21) - gone)
        for label, gone in began.items()
    ]
    assert "It was missing for about 3 h 10 min, and came back" in _worded(back[0]).text
    assert "They were missing for up to 12 days, and came back" in _worded(*back).text
    works = a_cause(RECOVERED, notified_in=1, began_at=NOW - timedelta(minutes=51))
    assert "It had not worked for about 30 min." in _worded(works).text


def test_good_news_says_whether_anything_else_is_missing() -> None:
    """By the last check: nothing, or what no CSM was asked about."""
    cause = a_cause(REGAINED, "GET: List offers", notified_in=1)
    for missing, said in ((0, "“Gem Harvest API Key” now lacks nothing"), (2, "2 other permissions of")):
        background = Background(coverage={1: Coverage(63, missing)})
        assert said in _worded(cause, background=background).text


def test_good_news_names_what_is_still_missing() -> None:
    """A CSM who reads that something is back also reads what is not, and whether an earlier email told them."""
    cause = a_cause(REGAINED, "GET: List offers", notified_in=1)
    told = StillMissing(1, "x", "Jobs", "GET: List jobs", str(cause.csm_email))
    words = _worded(cause, background=Background(still_missing=(told,)))
    assert "Still missing, as we wrote to you before:\n\nJobs\n  - GET: List jobs\n" in words.text
    assert "nothing you need to do" not in words.text
    words = _worded(cause, background=Background(still_missing=(replace(told, notified="ops@vendor.example"),)))
    assert "Still missing; the email about it went to somebody else:\n\nJobs\n  - GET: List jobs\n" in words.text


def test_newly_required_is_never_worded_as_lost() -> None:
    """Nobody took away what we newly ask for."""
    words = _worded(for_operator(EventKind.NEWLY_REQUIRED, "GET: List jobs"))
    assert "newly required and not granted" in words.subject
    assert "lost" not in f"{words.subject} {words.text}".casefold()


def test_a_brake_notice_says_what_to_do() -> None:
    """How many, what, who, whether emails left, what to do in which case, and how far a decision goes."""
    burst = [a_cause(LOST, "GET: List offers", f"tenant{n}", credential_id=n) for n in range(12)]
    words = RENDERER.render(composed(*burst).drafts[-1].message)
    assert words.subject == ("Action: mail to CSMs is held: 12 tenants lost the permission “GET: List offers” (Offers)")
    for said in (
        "Many tenants changed in the same way at once",
        "No email about it has left",
        "12 % of the 100 tenants checked since 23 Nov 2026, 13:45 UTC",
        "Tenant0 (tenant0), Tenant1 (tenant1), Tenant10 (tenant10)",
        "Tenant9 (tenant9)\n",
        "harvest-monitor notices show NUMBER",
        "harvest-monitor history --tenant TENANT",
        "1. The customers changed it: release",
        "2. Greenhouse changed it, or an update of Harvest Monitor or of the manifest did: the customers",
        "3. You are in doubt: wait. Nothing is lost",
        "--all takes every email that is held, also of other changes",
        "A drop cannot be undone",
        "If nobody decides, the emails stay held",
        "harvest-monitor notices release --all",
        "harvest-monitor notices drop --all",
    ):
        assert said in words.text


@pytest.mark.parametrize(
    ("keys", "subject", "said"),
    [
        (V1Keys(62, 0), "all 62 keys of Harvest v1 are retired: move to v3", "All 62 keys of Harvest v1 are retired"),
        (V1Keys(12, 50), "12 keys of Harvest v1 are retired, 50 still work", "the others follow within one interval"),
    ],
)
def test_retired_keys_are_one_story(keys: V1Keys, subject: str, said: str) -> None:
    """The operator reads how many keys are retired and what to do, and nothing about our network as the cause."""
    causes = [for_operator(FAILED, None, f"t{n}", state="retired", credential_id=n) for n in range(3)]
    words = RENDERER.render(composed(*causes, background=Background(v1_keys=keys)).drafts[0].message)
    assert words.subject == f"Action: {subject}"
    for part in (words.text, _visible(words.html)):
        assert said in part
        assert "ove to v3" in part
        assert "harvest-monitor tenants migration" in part
        assert "3 tenants are newly locked out" in part
        assert "It was found between 10:05 and 13:44 UTC on 23 Nov 2026." in part
        assert "no CSM is notified of" not in part  # each gets an email about theirs


def test_other_news_says_nothing_of_retired_keys() -> None:
    """Only where a key was retired."""
    message = composed(for_operator(FAILED, state="blocked"), background=Background(v1_keys=V1Keys(1, 1))).drafts[0]
    assert "Harvest v1" not in RENDERER.render(message.message).text


@pytest.mark.parametrize(
    ("stops", "said"),
    [("all", "All write probes of all tenants are stopped."), ("without_id", "Write probes without an id are stopped")],
)
def test_an_alarm_names_what_happened_and_what_stopped(stops: str, said: str) -> None:
    """The operator can find the request at Greenhouse and knows what to do."""
    text = RENDERER.render(an_alarm(stops=stops)).text
    assert said in text
    for fact in ("POST /v1/candidates", "201", "req-1", "23 Nov 2026, 14:05 UTC", "writes resume --reason"):
        assert fact in text


def test_a_template_that_asks_for_nothing_known_fails() -> None:
    """A slip in a template is an error, not a gap in an email."""
    environment = RENDERER.environment
    with pytest.raises(UndefinedError):
        environment.from_string("{{ message.surname }}").render(message=an_alarm())


def test_the_subject_is_cut_at_the_end() -> None:
    """A subject that is too long ends with an ellipsis; the customer's name comes first."""
    subject = _worded(a_cause(LOST, LONG)).subject
    assert subject.startswith("Acme: Greenhouse permission missing (ein sehr")
    assert subject.endswith("…")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(900, "15 minutes"), (14400, "4 hours"), (90, "90 seconds"), (3600, "1 hour"), (1, "1 second"), (0, "0 seconds")],
)
def test_durations_in_words(seconds: int, words: str) -> None:
    """A span is in the largest unit that fits."""
    assert duration(timedelta(seconds=seconds)) == words


def test_numbers_agree_with_their_nouns() -> None:
    """One has no s."""
    assert (counted(1, "tenant"), counted(2, "tenant"), counted(1200, "tenant")) == (
        "1 tenant",
        "2 tenants",
        "1,200 tenants",
    )


def test_scopes_to_tick_are_named_although_the_manifest_has_changed_since() -> None:
    """By the manifest of now where that of the loss is not known any more: a label of v1 is no box on v3's screen."""
    facts = {"credential_grant": "custom", "credential_kind": "harvest-oauth", "manifest_digest": "of then"}
    background = Background(scopes={("of now", "offers"): ("harvest:offers:list",)})
    words = _worded(a_cause(LOST, "offers", permission_label="GET: List offers", **facts), background=background)
    assert "[ ] List offers" in words.text
    assert "[ ] GET: List offers" not in words.text


def test_a_clock_that_was_set_back_leaves_no_window_that_ends_before_it_begins() -> None:
    """The last check before is left out where it is dated after the first one that saw the loss."""
    words = _worded(a_cause(LOST, "GET: List offers", seen_before=NOW, first_seen=NOW - timedelta(hours=3)))
    assert "between" not in words.text
    assert (
        "The API credential “Gem Harvest API Key” still works, but lost this permission by 11:05 UTC on 23 Nov 2026."
        in words.text
    )
