"""When a CSM gets an email about retired keys, and what it asks of their customers."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.credential import CredentialState
from checks.errors import ManifestError
from checks.manifest import Manifest, load
from monitor.config.settings import NoticesMode
from monitor.notices.content.fallback_text import fallback_subject, fallback_text
from monitor.notices.content.page_links import PageLinks
from monitor.notices.content.render import Renderer
from monitor.notices.content.retired_message import RetiredMessage
from monitor.notices.immediate.retired_keys_rules import (
    AGAIN_AFTER,
    NAMED,
    REQUESTS,
    gathering,
    is_due,
    message_to_csm,
    newly_accepted,
)
from monitor.tenants.v3_migration import MigrationStage, V1Key
from tests.notices import NOW, OPERATOR, SETTLE, a_policy

GEM = load("gem")
POLICY = a_policy()
HOUR = timedelta(hours=1)
RULER = "-" * 60
USERS = ("GET: List Users", "GET: Retrieve User")


def a_key(
    name: str = "Acme",
    features: Sequence[str] = (),
    declined: Sequence[str] = (),
    manifest: str | None = None,
    csm: str | None = "dana@vendor.example",
    since: datetime = NOW - 7 * HOUR,
) -> V1Key:
    return V1Key(
        tenant_id=name.lower(),
        tenant_name=name,
        csm_name="Dana Reyes" if csm else None,
        csm_email=csm,
        features=tuple(features),
        declined=tuple(declined),
        label="Gem Harvest API Key",
        manifest=manifest,
        state=CredentialState.RETIRED,
        since=since,
        stage=MigrationStage.NOT_BEGUN,
    )


def manifests(name: str | None) -> Manifest:
    if name == "away":
        raise ManifestError("there is no such manifest")
    bare = tuple(replace(permission, scopes=()) for permission in GEM.permissions)
    return replace(GEM, name="bare", permissions=bare, v3_source=None) if name == "bare" else GEM


def a_message(
    *keys: V1Key,
    mode: NoticesMode = NoticesMode.CSM,
    again: bool = False,
    accepted: Collection[str] = frozenset({GEM.digest}),
) -> RetiredMessage:
    message = message_to_csm(keys, manifests, a_policy(mode), NOW, again=again, accepted=accepted)
    assert message is not None
    return message


def forwarded(message: RetiredMessage) -> list[str]:
    """The parts between rulers."""
    words = Renderer().render(message)
    assert not words.problem
    return words.text.split(RULER)[1::2]


# When.


def test_the_first_email_waits_for_a_whole_sweep() -> None:
    """By then the last key of a four-hour sweep has settled, and has been checked again."""
    assert gathering(POLICY) == 6 * HOUR + SETTLE
    assert not is_due(NOW - gathering(POLICY) + timedelta(seconds=1), None, POLICY, NOW)
    assert is_due(NOW - gathering(POLICY), None, POLICY, NOW)


def test_later_emails_are_a_month_apart() -> None:
    """A key that becomes retired meanwhile waits for the next one; so does a new burst, gathered like the first."""
    long_ago = NOW - timedelta(days=90)
    assert not is_due(long_ago, NOW - AGAIN_AFTER + HOUR, POLICY, NOW)
    assert is_due(long_ago, NOW - AGAIN_AFTER, POLICY, NOW)
    assert not is_due(NOW - HOUR, long_ago, POLICY, NOW)


def test_another_clock_makes_nobody_wait_for_a_year() -> None:
    """A state written while the clock was ahead counts as gathered."""
    assert is_due(NOW + timedelta(days=365), None, POLICY, NOW)
    assert not is_due(NOW + timedelta(seconds=30), None, POLICY, NOW)  # two clocks that differ a little


@settings(max_examples=40)
@given(
    retires=st.lists(st.integers(0, 70 * 24), min_size=1, max_size=12),
    recovers=st.dictionaries(st.integers(0, 11), st.integers(1, 40 * 24), max_size=6),
)
def test_no_csm_gets_two_emails_in_a_month(retires: list[int], recovers: dict[int, int]) -> None:
    """However keys change: emails are a month apart, and each retired key is reported within a month and a wait."""
    begins = [NOW + hours * HOUR for hours in retires]
    ends = [begin + recovers[n] * HOUR if n in recovers else None for n, begin in enumerate(begins)]
    sent: list[datetime] = []
    reported: dict[int, datetime] = {}
    for hour in range(110 * 24):
        now = NOW + hour * HOUR
        retired = [n for n, begin in enumerate(begins) if begin <= now and not ((end := ends[n]) and end <= now)]
        first = min((begins[n] for n in retired), default=None)
        if first is not None and is_due(first, sent[-1] if sent else None, POLICY, now):
            sent.append(now)
            reported |= {n: now for n in retired if n not in reported}
    assert all(later - earlier >= AGAIN_AFTER for earlier, later in pairwise(sent))
    longest = AGAIN_AFTER + gathering(POLICY) + HOUR
    assert all(reported[n] - begins[n] <= longest for n in range(len(begins)) if ends[n] is None)


def test_what_was_accepted_since_the_last_email_is_worth_another() -> None:
    """The last one had nothing to forward for a derived list; an acceptance of another list changes nothing."""
    keys, last = [a_key(), a_key("Globex", manifest="away")], NOW - HOUR
    assert newly_accepted(keys, manifests, {GEM.digest: NOW}, last)
    assert not newly_accepted(keys, manifests, {GEM.digest: last - HOUR}, last)
    assert not newly_accepted(keys, manifests, {"0123456789ab": NOW}, last)
    assert not newly_accepted(keys, manifests, {}, last)


# What.


def test_a_derived_list_is_forwarded_only_once_it_is_accepted() -> None:
    """Until then the CSM reads that another email follows, and can send nothing; a published list needs none."""
    keys = [a_key(), a_key("Globex")]
    waiting = a_message(*keys, accepted=())
    assert forwarded(waiting) == []
    words = Renderer().render(waiting)
    for part in (words.text, words.html):
        assert "There is nothing to send to customers yet" in part
        assert "as soon as that is done" in part
        assert "Acme" in part
        assert "List candidates" not in part
    assert len(forwarded(a_message(*keys))) == 1
    published = replace(GEM, v3_source="published")
    message = message_to_csm(keys, lambda _: published, POLICY, NOW, again=False)
    assert message is not None
    assert len(forwarded(message)) == 1


def test_a_box_that_sounds_alarming_is_explained() -> None:
    """In the manifest's words for what it allows, among all that let the vendor change something."""
    (part,) = forwarded(a_message(a_key()))
    assert "25 of them let our integration read. These 12 let it change something: “Convert to candidate" in part
    assert "“Destroy applied candidate tags” (in plain words: remove tags from candidates)," in part
    assert "“Reject applications”," in part


def test_what_may_be_forwarded_names_the_key_of_one_customer_only() -> None:
    """Several get the same part, and a label may say whose key it is."""
    (alone,) = forwarded(a_message(a_key()))
    assert "no longer accepts the API credential “Gem Harvest API Key”. Greenhouse announced the end" in alone
    (shared,) = forwarded(a_message(a_key(), a_key("Globex")))
    assert "no longer accepts the API credential that our integration used." in shared
    assert "Gem Harvest API Key" not in shared


def test_an_email_about_several_customers_says_first_that_it_is_not_to_be_forwarded() -> None:
    """It names them all; and its subject, which is forwarded most easily, names none."""
    several = Renderer().render(a_message(a_key(), a_key("Globex")))
    assert several.text.split("\n\n")[1] == "Do not forward this email as a whole: it names several customers."
    assert not any(name.casefold() in several.subject.casefold() for name in ("Acme", "Globex"))
    assert "Do not forward" not in Renderer().render(a_message(a_key())).text


def test_what_is_forwarded_to_many_stands_above_their_names() -> None:
    """A few customers are named first, hundreds after the part that is for all of them."""
    for count, first in ((3, "Acme000"), (450, "Hello,\n\nOur integration has lost")):
        words = (
            Renderer().render(a_message(*(a_key(f"Acme{n:03}") for n in range(count)))).text.partition("Your move")[2]
        )
        other = "Hello,\n\nOur" if first == "Acme000" else "Acme000"
        assert words.index(first) < words.index(other)


def test_one_email_names_all_customers_and_asks_for_one_list() -> None:
    """In alphabetical order; the part to forward is the same for all, and names none of them."""
    message = a_message(*(a_key(name) for name in ("Globex", "acme", "Initech")))
    assert message.names == ("acme", "Globex", "Initech")
    words = Renderer().render(message)
    assert words.subject == ("3 customers: our integration has lost access to Greenhouse (API credentials ended)")
    (part,) = forwarded(message)
    for name in (*message.names, "vendor.example", "Gem", "Monitor"):
        assert name not in part
    for said in (
        "Configure › Dev Center › API Credential Management",
        "Harvest V3 (OAuth)",
        "Tick these 37 boxes and save",
        "   Candidates\n   [ ] Create candidates\n   [ ] List candidates\n",
        "shows its secret only once",
        "never send a key or a secret by e-mail",
        "Thank you,\nDana Reyes",
    ):
        assert said in part
    assert part.index("“Can manage ALL organization's API Credentials”") < part.index("1. In Greenhouse")
    assert "missing permissions" not in words.text
    assert "nothing works there until there is a new API credential" in words.text


def test_what_only_some_need_has_a_condition() -> None:
    """A feature that all have is included, one that some have is optional, one that none has is left out."""
    (all_have,) = a_message(a_key(features=["eeoc"])).requests
    assert (all_have.count, all_have.optional) == (38, ())
    (none_has,) = a_message(a_key(), a_key("Globex")).requests
    assert (none_has.count, none_has.optional) == (37, ())
    mixed = a_message(a_key(features=["eeoc"]), a_key("Globex"))
    (part,) = forwarded(mixed)
    assert mixed.requests[0].count == 37
    assert "Only if this applies to you: EEOC is enabled for the customer in Gem." in part
    assert part.index("EEOC is enabled") < part.index("[ ] List eeoc")


def test_customers_who_need_something_else_have_a_part_of_their_own() -> None:
    """What a customer declined is not asked of it; a refusal that changes no scope needs no part of its own."""
    message = a_message(a_key(), a_key("Globex", declined=USERS[:1]), a_key("Initech", declined=USERS))
    assert [[key.customer for key in request.customers.keys] for request in message.requests] == [
        ["Acme", "Globex"],
        ["Initech"],
    ]
    first, second = forwarded(message)
    assert "[ ] List users" in first
    assert "[ ] List users" not in second


def test_a_manifest_without_scopes_spoils_only_its_own_customers() -> None:
    """If a manifest cannot be read, or has no scopes, its customers are still named, and nothing is made up."""
    message = a_message(a_key(), a_key("Globex", manifest="away"), a_key("Initech", manifest="bare"))
    assert [key.customer for key in message.others.keys] == ["Globex", "Initech"]
    assert len(message.requests) == 1
    text = Renderer().render(message).text
    assert "We do not know which scopes these customers need." in text
    assert a_message(a_key(manifest="away")).requests == ()


def test_an_email_is_limited_however_many_customers_differ() -> None:
    """A limited number of parts and names; the rest is counted, and the largest parts come first."""
    ids = [permission.id for permission in GEM.permissions if not permission.feature and permission.scopes][-30:]
    different = [a_key(f"Different{n:03}", declined=ids[: n + 1]) for n in range(len(ids))]
    alike = [a_key(f"Alike{n:03}") for n in range(NAMED + 7)]
    message = a_message(*different, *alike)
    assert message.count == len(different) + len(alike)
    assert len(message.requests) == REQUESTS
    most = message.requests[0].customers
    assert (len(most.keys), most.unnamed) == (NAMED, most.count - NAMED)
    assert most.count >= len(alike)
    assert sum(request.customers.count for request in message.requests) + message.others.count == message.count


def test_only_what_has_settled_is_reported() -> None:
    """A key that became retired a moment ago may have recovered by the next one."""
    message = a_message(a_key(), a_key("Globex", since=NOW - SETTLE + timedelta(seconds=1)))
    assert message.names == ("Acme",)
    assert message_to_csm([a_key(since=NOW)], manifests, POLICY, NOW, again=False) is None


def test_a_customer_with_two_keys_is_one_customer() -> None:
    """Both keys are named, and the customer is counted once."""
    message = a_message(a_key(), replace(a_key(), label="Second key"))
    assert (message.count, len(message.requests[0].customers.keys)) == (1, 2)
    assert Renderer().render(message).subject == (
        "Acme: our integration has lost access to Greenhouse (API credential ended)"
    )


@pytest.mark.parametrize(
    ("mode", "csm", "said"),
    [
        (NoticesMode.CSM, "dana@vendor.example", ""),
        (NoticesMode.CSM, None, "These customers have no CSM in the tenants file"),
        (NoticesMode.OPERATOR, "dana@vendor.example", "This email is for Dana Reyes <dana@vendor.example>."),
        (NoticesMode.OPERATOR, None, "These customers have no CSM in the tenants file"),
    ],
)
def test_an_email_that_goes_to_the_operator_says_why(mode: NoticesMode, csm: str | None, said: str) -> None:
    """Whom it is for, or that there is no CSM; the CSM's own email says no such thing."""
    message = a_message(a_key(csm=csm), mode=mode)
    assert message.redirect.startswith(said)
    assert bool(message.redirect) == bool(said)
    assert OPERATOR not in Renderer().render(message).text


def test_a_monthly_email_says_so() -> None:
    """The reader sees that it is not news, and how often it comes."""
    message = a_message(a_key(), a_key("Globex"), again=True)
    words = Renderer().render(message)
    assert words.subject == "2 customers: our integration still has no access to Greenhouse (API credentials ended)"
    assert "once a month until it is solved" in words.text
    assert "once a month" not in Renderer().render(a_message(a_key())).text


def test_the_fallback_text_lists_customers_and_scopes() -> None:
    """Every customer with its key, every scope under its condition, and how to ask without naming other customers."""
    message = a_message(a_key(features=["eeoc"]), a_key("Globex"))
    assert fallback_subject(message) == "2 customers: Greenhouse switched off the API keys of Harvest v1 and v2"
    words = fallback_text(message, PageLinks())
    for said in (
        "Customer: Acme",
        "Customer: Globex",
        "- Create candidates",
        "- List eeoc",
        "without naming the others",
    ):
        assert said in words
    assert "Meaning: EEOC is enabled for the customer in Gem" in words
