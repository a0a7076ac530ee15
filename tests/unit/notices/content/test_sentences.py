"""What emails say to people outside, with the settings that make them ready to forward."""

from collections.abc import Sequence

import pytest

from checks.manifest import load
from monitor.drift import EventKind
from monitor.incidents.rules import Audience
from monitor.notices.causes import PendingCause
from monitor.notices.content.messages import DigestMessage, V1Keys
from monitor.notices.content.news_from_causes import Background
from monitor.notices.content.render import RenderedMessage, Renderer
from monitor.notices.content.successor import CredentialNeeds, successor_boxes
from monitor.notices.content.vendor import Vendor
from tests.notices import a_cause, composed, for_operator

GEM = load("gem")
LOST, FAILED, FOUND, EXCESS = (
    EventKind.LOST,
    EventKind.CREDENTIAL_FAILED,
    EventKind.FOUND,
    EventKind.EXCESS_FOUND,
)
RULER = "-" * 60
PAGE = "https://vendor.example/hand-over"
VENDOR = Vendor("Gem", "support@vendor.example", PAGE)
NEEDS = CredentialNeeds(None, (), ())
SUCCESSOR = successor_boxes(NEEDS, lambda _: GEM, {GEM.digest})
V3 = {"credential_kind": "harvest-oauth", "credential_grant": "custom", "manifest_digest": GEM.digest}


def background(**facts: object) -> Background:
    effects = {permission.id: permission.effect for permission in GEM.permissions}
    scopes = {(GEM.digest, permission.id): permission.scopes for permission in GEM.permissions}
    return Background(effects=effects, scopes=scopes, **facts)  # type: ignore[arg-type]


def words(*causes: PendingCause, vendor: Vendor = VENDOR, **facts: object) -> RenderedMessage:
    return Renderer(vendor=vendor).render(composed(*causes, background=background(**facts)).drafts[0].message)


def forwarded(rendered: RenderedMessage) -> str:
    return rendered.text.split(RULER)[1]


def lost(id_: str, **facts: object) -> PendingCause:
    return a_cause(LOST, id_, permission_label=GEM.permission(id_).label, **facts)


def first_line(ids: Sequence[str], **facts: object) -> str:
    return words(*(lost(id_, **facts) for id_ in ids)).text.split("\n\n")[1]


def test_the_first_line_says_what_the_vendor_can_no_longer_do() -> None:
    """In the manifest's words, a few of many; a label without such words is named as it is."""
    assert first_line(["offers.list_offers", "jobs.retrieve_job"]).startswith(
        "Gem can no longer list offers or retrieve jobs in Acme's Greenhouse account"
    )
    many = first_line([permission.id for permission in GEM.permissions[:9]])
    assert "retrieve applications, list applications or do 6 more things in Acme's" in many
    other = Renderer(vendor=VENDOR).render(composed(a_cause(LOST, "GET: List rooms")).drafts[0].message)
    assert "Gem can no longer use “GET: List rooms” in Acme's Greenhouse account" in other.text


def test_on_harvest_v3_the_first_line_speaks_of_scopes() -> None:
    """Several permissions that one scope grants are one thing that does not work."""
    assert first_line(["jobs.list_jobs", "jobs.retrieve_job"], **V3).startswith("Gem can no longer list jobs in")


def test_the_vendor_has_a_name_and_the_csm_signs() -> None:
    """With the settings, customers read who writes and whom to ask; without them, nothing is made up."""
    request = forwarded(words(lost("offers.list_offers")))
    assert "Gem can no longer list offers in your Greenhouse account (Acme)" in request
    assert request.endswith("Questions? support@vendor.example\n\nThank you,\nDana Reyes (Gem)\n\n")
    bare = forwarded(words(lost("offers.list_offers"), vendor=Vendor()))
    assert "Our integration can no longer list offers" in bare
    assert "Questions" not in bare
    assert bare.endswith("Thank you,\nDana Reyes\n\n")


def test_the_settings_are_escaped() -> None:
    """Whatever an operator writes is text."""
    hostile = Vendor("<b>Gem</b>", "<i>us</i>", "<script>x</script>")
    page = words(a_cause(FAILED), vendor=hostile, successors={1: SUCCESSOR}).html
    assert "&lt;b&gt;Gem&lt;/b&gt; has lost access" in page
    assert not any(tag in page for tag in ("<b>", "<i>", "<script"))


def test_a_refused_key_is_answered_in_full() -> None:
    """What if it is disabled, gone, or was enabled all along; which kind, name and boxes, and how to hand it over."""
    rendered = words(a_cause(FAILED), successors={1: SUCCESSOR})
    assert rendered.subject == "Acme: Gem has lost access to Greenhouse"
    request = forwarded(rendered)
    for said in (
        "If it is disabled, enable it and tell us; go on with step 3",
        "Greenhouse no longer accepts it, and a new one is needed",
        "of the kind Harvest V3 (OAuth). As the description, enter “Gem Harvest V3”",
        "Tick these 37 boxes and save",
        "[ ] List offers",
        "enter “Gem Harvest V3”. Greenhouse shows its secret only once: store it at once.",
        "If you have no login there, just reply, and we agree on another way. Please never send a key or a secret by",
        "A possible reason: Greenhouse announced the end",
        f"Hand over the client ID and the secret here: {PAGE}",
    ):
        assert said in request
    assert "ask" not in request.casefold().split()


def test_an_email_is_promised_only_where_one_follows() -> None:
    """What comes back is reported; a credential whose place a new one takes is settled in silence."""
    silent = "but not when a new API credential takes the place of the old one"
    for causes, replaceable in (
        ([a_cause(FAILED)], True),
        ([a_cause(FAILED, detail="no_scopes", **V3)], False),
        ([a_cause(FAILED, **{**V3, "credential_grant": "partner"})], False),
        ([lost("offers.list_offers")], False),
    ):
        text = words(*causes).text
        assert "You get another email when it is restored" in text
        assert (silent in text) is replaceable, causes


def test_without_a_way_to_hand_over_the_old_one_is_named() -> None:
    """Nobody has to ask as long as the customer remembers how the first secret was handed over."""
    request = forwarded(words(a_cause(FAILED), vendor=Vendor(), successors={1: SUCCESSOR}))
    assert "in the same safe way as “Gem Harvest API Key”" in request


def test_a_list_that_nobody_accepted_is_not_forwarded() -> None:
    """Neither with a refused key, nor where scopes are missing from a client."""
    assert successor_boxes(NEEDS, lambda _: GEM, set()) is None
    refused = words(a_cause(FAILED), successors={1: None})
    assert "[ ]" not in refused.text
    assert "is not approved yet" in refused.text.partition(RULER)[0]
    found = for_operator(FOUND, "offers.list_offers", permission_label="GET: List offers", **V3)
    for unaccepted, has_part in ((frozenset({GEM.digest}), False), (frozenset[str](), True)):
        digest = words(found, unaccepted=unaccepted)
        assert (RULER in digest.text) is has_part
        assert ("nobody has accepted them" in digest.text) is not has_part


def test_another_credential_that_works_is_not_lost_access() -> None:
    """Only part of the access is gone, and the email says so."""
    rendered = words(a_cause(FAILED), with_access=frozenset({"acme"}))
    assert rendered.subject == "Acme: a Greenhouse API credential no longer works"
    assert "Another API credential of Acme still works." in rendered.text
    assert "lost access" not in rendered.text.partition(RULER)[0]


def excess(label: str, tenant: str = "acme", **facts: object) -> PendingCause:
    return for_operator(EXCESS, label, tenant, detail="certain", **facts)


def test_extra_and_missing_permissions_do_not_read_alike() -> None:
    """One needs nobody, the other somebody: told in the subject, the first line, and by a part to send."""
    extra, missing = words(excess("GET: List tags")), words(for_operator(FOUND, "offers.list_offers"))
    assert extra.subject == "No action: Acme: 1 extra permission granted"
    assert extra.text.startswith("Nothing to do: Acme")
    assert "Nothing fails, and nobody has to act." in extra.text
    assert RULER not in extra.text
    assert missing.subject == "Action: Acme: 1 permission missing since the first check"
    assert missing.text.startswith("Your move: Acme")
    assert "Gem cannot list offers in Acme's Greenhouse account." in missing.text
    assert "does not have a permission that Gem needs" in forwarded(missing)
    assert "Thank you,\nGem\n" in forwarded(missing)


@pytest.mark.parametrize(
    ("label", "group", "sensitive"),
    [
        ("GET: List EEOC", "EEOC", True),
        ("GET: List Demographic Answers", "Demographics", True),
        ("List demographic questions", "Demographic questions", True),
        ("GET: List tags", "Tags", False),
    ],
)
def test_data_that_laws_protect_is_marked(label: str, group: str, sensitive: bool) -> None:
    """Beside the permission and in the subject; then it is the operator's decision, with a part to send."""
    rendered = words(excess(label, permission_group=group))
    assert rendered.subject.startswith("Action: Acme: " if sensitive else "No action: Acme: ")
    assert ("(1 sensitive)" in rendered.subject) is sensitive
    assert (f"- {label} (sensitive)" in rendered.text) is sensitive
    assert ("but it opens sensitive data that Gem does not need. Decide:" in rendered.text) is sensitive
    assert (RULER in rendered.text) is sensitive
    if sensitive:
        assert f"Untick this box and save:\n\n   {group}\n   [ ] {label}\n" in forwarded(rendered)


def test_sensitive_data_is_no_decision_where_no_customer_can_untick_it() -> None:
    """The scopes of a partner's client are not the customer's to choose."""
    rendered = words(excess("GET: List EEOC", credential_kind="harvest-oauth", credential_grant="partner"))
    assert rendered.subject == "No action: Acme: 1 extra permission granted (1 sensitive)"
    assert "nobody has to act" in rendered.text
    assert RULER not in rendered.text


def test_a_likely_extra_permission_is_told_as_likely() -> None:
    """Neither the operator nor the customer reads a guess as a fact."""
    rendered = words(for_operator(EXCESS, "GET: List EEOC", detail="likely"))
    assert "but it may open sensitive data" in rendered.text.partition(RULER)[0]
    assert "may open sensitive data" in forwarded(rendered)


def test_what_never_worked_says_why_it_is_the_operators_and_what_to_do_with_the_answer() -> None:
    """It names the tenant's CSM, who was not notified; not in the part to send."""
    rendered = words(for_operator(FOUND, "offers.list_offers"))
    for said in (
        "CSMs are told only of what has worked before",
        "Acme's CSM is Dana Reyes.",
        "under declined in the tenants file",
    ):
        assert said in rendered.text.partition(RULER)[0]
    assert "Dana" not in forwarded(rendered)


def test_many_tenants_of_which_the_same_is_said_are_one_line() -> None:
    """The first few by name, the others by number; a few are named each."""
    for number in (3, 40):
        causes = [for_operator(FAILED, None, f"t{n:02}", state="retired", credential_id=n) for n in range(number)]
        text = words(*causes, v1_keys=V1Keys(number, 2)).text
        assert text.count("credential retired") == (3 if number == 3 else 1)
        assert ("T04 (t04) and 35 more: credential retired" in text) is (number == 40)


def test_the_operator_reads_first_how_many_are_locked_out_and_the_one_move() -> None:
    """A tenant with another credential that works is not locked out; the move is there only if one is left."""
    causes = [for_operator(FAILED, None, f"t{n}", state="retired", credential_id=n) for n in range(4)]
    facts = {"v1_keys": V1Keys(4, 0), "with_access": frozenset({"t0"})}
    for unaccepted, asks in ((frozenset({GEM.digest}), True), (frozenset[str](), False)):
        text = words(*causes, unaccepted=unaccepted, **facts).text
        assert text.startswith("3 tenants are newly locked out: Greenhouse no longer accepts their keys of Harvest v1.")
        assert ("Your move: accept the list of Harvest v3 permissions." in text) is asks
        assert ("    harvest-monitor manifest show --v3\n2. Accept it:\n" in text) is asks


def test_a_digest_is_parted_by_whose_move_it_is() -> None:
    """What needs the operator, then what CSMs were told in this run, then what needs nobody."""
    causes = [
        excess("GET: List tags", credential_id=1),
        for_operator(FOUND, "offers.list_offers", "globex", credential_id=2),
        lost("offers.list_offers", tenant_id="initech", tenant_name="Initech", credential_id=3),
    ]
    message = composed(*causes, background=background()).drafts[-1].message
    assert isinstance(message, DigestMessage)
    rendered = Renderer(vendor=VENDOR).render(message)
    assert rendered.subject == "Action: Globex: 1 permission missing since the first check"
    order = ["Needs you (1)", "Globex (globex)", "CSMs were told (1)", "- Initech: 1 permission missing (Dana Reyes)"]
    places = [rendered.text.index(said) for said in (*order, "Needs nobody (1)", "Acme (acme)")]
    assert places == sorted(places)


def test_what_a_csm_gets_through_the_operator_is_not_told_twice() -> None:
    """With all notices to the operator, no CSM was told of anything."""
    causes = [excess("GET: List tags"), lost("offers.list_offers", csm_email=None, csm_name=None)]
    message = composed(*causes).drafts[-1].message
    assert isinstance(message, DigestMessage)
    assert message.told == ()


def test_what_is_newly_required_is_asked_for_and_never_called_lost() -> None:
    """Nobody took it away: neither for the operator, nor for the customer."""
    rendered = words(for_operator(EventKind.NEWLY_REQUIRED, "offers.list_offers"))
    assert "Nobody took it away." in rendered.text
    for part in (rendered.subject, rendered.text, forwarded(rendered)):
        assert not any(word in part for word in ("lost", "no longer", "removed", "restore"))


def test_a_digest_has_a_part_to_send_for_the_first_few_only() -> None:
    """Each may list all permissions of a manifest; the pages of the other tenants have theirs."""
    causes = [for_operator(FOUND, "offers.list_offers", f"t{n}", credential_id=n) for n in range(5)]
    message = composed(*causes).drafts[0].message
    assert isinstance(message, DigestMessage)
    assert [tenant.request is not None for tenant in message.tenants] == [True, True, True, False, False]
    assert Audience.OPERATOR in {cause.audience for cause in causes}


def test_what_no_customer_can_restore_is_sent_to_none() -> None:
    """A partner's client that lacks a scope for all customers is Greenhouse's matter."""
    facts = {"credential_kind": "harvest-oauth", "credential_grant": "partner", "concerns_all": True}
    message = composed(for_operator(LOST, "offers.list_offers", **facts)).drafts[0].message
    assert isinstance(message, DigestMessage)
    assert message.tenants[0].request is None


def test_it_only_reads_unless_write_probes_are_on() -> None:
    """With them, nothing is changed either, but that is another sentence."""
    assert "It only reads; it never changes anything in Greenhouse." in words(lost("offers.list_offers")).text
    probing = words(lost("offers.list_offers"), vendor=Vendor(only_reads=False)).text
    assert "only reads" not in probing
    assert "It never changes anything in Greenhouse." in probing
