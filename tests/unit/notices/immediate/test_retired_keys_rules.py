"""When a CSM is written to about retired keys, and what is asked of their customers."""

from collections.abc import Sequence
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
from monitor.notices.content.plain_text import plain
from monitor.notices.content.render import Renderer
from monitor.notices.content.retired_message import RetiredMessage
from monitor.notices.immediate.retired_keys_rules import AGAIN_AFTER, NAMED, REQUESTS, gathering, is_due, letter
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


def a_letter(*keys: V1Key, mode: NoticesMode = NoticesMode.CSM, again: bool = False) -> RetiredMessage:
    worded = letter(keys, manifests, a_policy(mode), NOW, again=again)
    assert worded is not None
    return worded


def forwarded(worded: RetiredMessage) -> list[str]:
    """The parts between rulers."""
    words = Renderer().render(worded)
    assert not words.problem
    return words.text.split(RULER)[1::2]


# When.


def test_the_first_mail_waits_for_a_whole_sweep() -> None:
    """The last key of a sweep of four hours has settled by then, and has been looked at again."""
    assert gathering(POLICY) == 6 * HOUR + SETTLE
    assert not is_due(NOW - gathering(POLICY) + timedelta(seconds=1), None, POLICY, NOW)
    assert is_due(NOW - gathering(POLICY), None, POLICY, NOW)


def test_later_mails_are_a_month_apart() -> None:
    """Whoever turns retired meanwhile waits for the next one; so does a new wave, which is gathered like the first."""
    long_ago = NOW - timedelta(days=90)
    assert not is_due(long_ago, NOW - AGAIN_AFTER + HOUR, POLICY, NOW)
    assert is_due(long_ago, NOW - AGAIN_AFTER, POLICY, NOW)
    assert not is_due(NOW - HOUR, long_ago, POLICY, NOW)


def test_another_clock_makes_nobody_wait_for_a_year() -> None:
    """A state that was written while the clock stood ahead is as good as gathered."""
    assert is_due(NOW + timedelta(days=365), None, POLICY, NOW)
    assert not is_due(NOW + timedelta(seconds=30), None, POLICY, NOW)  # two clocks that differ a little


@settings(max_examples=40)
@given(
    turned=st.lists(st.integers(0, 70 * 24), min_size=1, max_size=12),
    recovers=st.dictionaries(st.integers(0, 11), st.integers(1, 40 * 24), max_size=6),
)
def test_no_csm_is_written_to_twice_in_a_month(turned: list[int], recovers: dict[int, int]) -> None:
    """However keys turn and recover: mails are a month apart, and nothing retired is untold for a month and a wait."""
    begins = [NOW + hours * HOUR for hours in turned]
    ends = [begin + recovers[n] * HOUR if n in recovers else None for n, begin in enumerate(begins)]
    sent: list[datetime] = []
    told: dict[int, datetime] = {}
    for hour in range(110 * 24):
        now = NOW + hour * HOUR
        standing = [n for n, begin in enumerate(begins) if begin <= now and not ((end := ends[n]) and end <= now)]
        first = min((begins[n] for n in standing), default=None)
        if first is not None and is_due(first, sent[-1] if sent else None, POLICY, now):
            sent.append(now)
            told |= {n: now for n in standing if n not in told}
    assert all(later - earlier >= AGAIN_AFTER for earlier, later in pairwise(sent))
    longest = AGAIN_AFTER + gathering(POLICY) + HOUR
    assert all(told[n] - begins[n] <= longest for n in range(len(begins)) if ends[n] is None)


# What.


def test_one_mail_names_all_customers_and_asks_for_one_list() -> None:
    """By name in the order of the alphabet; what is forwarded is the same for all, and names none of them."""
    worded = a_letter(*(a_key(name) for name in ("Globex", "acme", "Initech")))
    assert worded.names == ("acme", "Globex", "Initech")
    words = Renderer().render(worded)
    assert words.subject == ("3 customers lost their API key: Greenhouse switched it off: acme, Globex, Initech")
    (part,) = forwarded(worded)
    for name in (*worded.names, "Dana", "vendor.example", "Gem", "Monitor"):
        assert name not in part
    for said in (
        "Configure › Dev Center › API Credential Management",
        "Harvest V3 (OAuth)",
        "Tick these 37 boxes and save",
        "   Candidates\n   [ ] Create candidates\n   [ ] List candidates\n",
        "shows the secret only once",
        "never send the client secret by e-mail",
        "derived from the permissions of the old key",
        "“Can manage ALL organization's API Credentials”",
    ):
        assert said in part
    assert "missing permissions" not in words.text
    assert "No permission is missing" in words.text


def test_what_only_some_need_is_asked_for_under_its_condition() -> None:
    """A feature that all have is among the rest, one that some have is optional, one that none has is left out."""
    (all_have,) = a_letter(a_key(features=["eeoc"])).requests
    assert (all_have.count, all_have.optional) == (38, ())
    (none_has,) = a_letter(a_key(), a_key("Globex")).requests
    assert (none_has.count, none_has.optional) == (37, ())
    mixed = a_letter(a_key(features=["eeoc"]), a_key("Globex"))
    (part,) = forwarded(mixed)
    assert mixed.requests[0].count == 37
    assert "Only if this holds for you: EEOC is enabled for the customer in Gem." in part
    assert part.index("EEOC is enabled") < part.index("[ ] List eeoc")


def test_customers_who_need_something_else_have_a_part_of_their_own() -> None:
    """What a customer declined is not asked of it; a refusal that changes no scope makes no part of its own."""
    worded = a_letter(a_key(), a_key("Globex", declined=USERS[:1]), a_key("Initech", declined=USERS))
    assert [[key.customer for key in request.customers.keys] for request in worded.requests] == [
        ["Acme", "Globex"],
        ["Initech"],
    ]
    first, second = forwarded(worded)
    assert "[ ] List users" in first
    assert "[ ] List users" not in second


def test_a_manifest_without_scopes_spoils_only_its_own_customers() -> None:
    """Whose manifest can not be read, or names no scopes, is named all the same, and nothing is made up."""
    worded = a_letter(a_key(), a_key("Globex", manifest="away"), a_key("Initech", manifest="bare"))
    assert [key.customer for key in worded.others.keys] == ["Globex", "Initech"]
    assert len(worded.requests) == 1
    text = Renderer().render(worded).text
    assert "Which scopes these need is not known here." in text
    assert a_letter(a_key(manifest="away")).requests == ()


def test_a_mail_has_an_end_however_many_customers_differ() -> None:
    """So many parts and so many names; the rest is counted, and the largest parts come first."""
    ids = [permission.id for permission in GEM.permissions if not permission.feature and permission.scopes][-30:]
    different = [a_key(f"Different{n:03}", declined=ids[: n + 1]) for n in range(len(ids))]
    alike = [a_key(f"Alike{n:03}") for n in range(NAMED + 7)]
    worded = a_letter(*different, *alike)
    assert worded.count == len(different) + len(alike)
    assert len(worded.requests) == REQUESTS
    most = worded.requests[0].customers
    assert (len(most.keys), most.unnamed) == (NAMED, most.count - NAMED)
    assert most.count >= len(alike)
    assert sum(request.customers.count for request in worded.requests) + worded.others.count == worded.count


def test_only_what_has_settled_is_told() -> None:
    """A key that turned a moment ago may have turned back by the next one."""
    worded = a_letter(a_key(), a_key("Globex", since=NOW - SETTLE + timedelta(seconds=1)))
    assert worded.names == ("Acme",)
    assert letter([a_key(since=NOW)], manifests, POLICY, NOW, again=False) is None


def test_a_customer_with_two_keys_is_one_customer() -> None:
    """Both keys are named, and the customer is counted once."""
    worded = a_letter(a_key(), replace(a_key(), label="Second key"))
    assert (worded.count, len(worded.requests[0].customers.keys)) == (1, 2)
    assert Renderer().render(worded).subject == "Acme: Greenhouse switched off the API key"


@pytest.mark.parametrize(
    ("mode", "csm", "said"),
    [
        (NoticesMode.CSM, "dana@vendor.example", ""),
        (NoticesMode.CSM, None, "These customers have no CSM in the tenants file"),
        (NoticesMode.OPERATOR, "dana@vendor.example", "This mail is for Dana Reyes <dana@vendor.example>."),
        (NoticesMode.OPERATOR, None, "These customers have no CSM in the tenants file"),
    ],
)
def test_a_mail_that_goes_to_the_operator_says_why(mode: NoticesMode, csm: str | None, said: str) -> None:
    """Whom it is for, or that nobody is named; to the CSM it says nothing of the kind."""
    worded = a_letter(a_key(csm=csm), mode=mode)
    assert worded.redirect.startswith(said)
    assert bool(worded.redirect) == bool(said)
    assert OPERATOR not in Renderer().render(worded).text


def test_a_monthly_mail_says_that_it_is_one() -> None:
    """The reader sees that it is not news, and how often it comes."""
    worded = a_letter(a_key(), a_key("Globex"), again=True)
    words = Renderer().render(worded)
    assert words.subject == "2 customers still need a new Greenhouse credential: Acme, Globex"
    assert "once a month for as long as it lasts" in words.text
    assert "once a month" not in Renderer().render(a_letter(a_key())).text


def test_the_plain_form_can_be_forwarded_too() -> None:
    """Customers outside the rulers, every scope inside, and no name there."""
    subject, words = plain(a_letter(a_key(features=["eeoc"]), a_key("Globex")))
    assert subject == "2 customers: Greenhouse switched off the keys of Harvest v1 and v2"
    part = words.split(RULER)[1]
    assert part.count("[ ]") == 38
    assert "Acme" not in part
    assert "EEOC is enabled for the customer in Gem" in part
    assert "  - Acme: “Gem Harvest API Key” does not work since" in words
