"""What is said of a tenant in a list: why it stands so, who stands alike, who was told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from checks.credential import CredentialState
from checks.reasons import DETAILS, REASONS
from monitor.incidents.status import TenantStatus
from monitor.reporting.alike import LISTED_ALIKE, set_apart
from monitor.reporting.tenant_list import CredentialStanding, TenantRow
from monitor.reporting.told import Telling, Told
from monitor.reporting.what_decides import _DECIDES, what_decides

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
WORKS = CredentialStanding(
    label="Gem",
    kind="harvest-key",
    state=CredentialState.OK,
    detail="",
    missing=0,
    undecided=0,
    unchecked=0,
    suspects=0,
    suspect_state=None,
    last_checked_at=NOW,
    next_due=NOW + timedelta(hours=4),
)
LACKS = replace(WORKS, missing=1, missing_labels=("GET: List offers",))


def row(status: TenantStatus, credential: CredentialStanding | None = WORKS, id_: str = "acme") -> TenantRow:
    credentials = () if credential is None else (credential,)
    problem = None if credential else "line 3: no key"
    return TenantRow(id_, id_.title(), "Dana", "dana@vendor.example", status, NOW, problem, None, credentials)


def test_the_reason_of_a_failing_credential_is_in_words() -> None:
    """Every detail has some; none is shown as its code."""
    for detail, words in DETAILS.items():
        failing = replace(WORKS, state=CredentialState.UNREACHABLE, detail=detail)
        assert row(TenantStatus.FAILING, failing).reason == f"unreachable: {words}", detail


def test_the_reason_of_undecided_says_how_many_and_why() -> None:
    """What was missing under an earlier secret counts where nothing else is undecided."""
    undecided = replace(WORKS, undecided=63, undecided_reason="timeout")
    assert row(TenantStatus.UNDECIDED, undecided).reason == f"63 permissions undecided: {REASONS['timeout']}"
    carried = row(TenantStatus.UNDECIDED, replace(WORKS, carried=2)).reason
    assert carried == "2 permissions undecided: missing under the secret before this one, and not decided since"


def test_a_row_without_a_usable_credential_is_misconfigured() -> None:
    """Its state is not `ok`, and the reason is what is wrong with it."""
    without = row(TenantStatus.FAILING, None)
    assert (without.state, without.reason) == (CredentialState.MISCONFIGURED, "tenants file, line 3: no key")


def test_more_than_twenty_alike_are_counted_and_the_others_listed() -> None:
    """Alike is who has the same status for the same reason; the order of the rest is kept."""
    alike = [row(TenantStatus.DRIFTED, LACKS, f"t{number}") for number in range(LISTED_ALIKE + 1)]
    others = [row(TenantStatus.FAILING, None, "first"), row(TenantStatus.HEALTHY, WORKS, "last")]
    listed, groups = set_apart([others[0], *alike, others[1]])
    assert listed == others
    assert [group.said for group in groups] == ["21 tenants lack GET: List offers"]
    listed, groups = set_apart([others[0], *alike[1:], others[1]])
    assert (len(listed), groups) == (LISTED_ALIKE + 2, [])


def test_an_outage_is_one_group_however_connections_fail() -> None:
    """Refused here, reset there: alike all the same, and what most of them meet is said."""

    def failing(detail: str, numbers: range) -> list[TenantRow]:
        standing = replace(WORKS, state=CredentialState.UNREACHABLE, detail=detail)
        return [row(TenantStatus.FAILING, standing, f"t{number}") for number in numbers]

    refused, reset = failing("connection_refused", range(15)), failing("connection_reset", range(15, 22))
    listed, (group,) = set_apart([*refused, *reset])
    assert listed == []
    words = DETAILS["connection_refused"]
    assert group.said == f"22 tenants are failing: unreachable: {words} (15 of them; others in other ways)"
    _, (alone,) = set_apart(failing("proxy_login", range(21)))
    assert alone.said == f"21 tenants are failing: unreachable: {DETAILS['proxy_login']}"


def test_what_decides_is_known_for_reasons_that_there_are() -> None:
    """Each is one of a verdict's; whatever else there is, the next check asks again."""
    assert _DECIDES.keys() <= REASONS.keys()
    assert what_decides("timeout") == what_decides(None) == "the next check, which asks again"


def test_only_a_notice_that_was_sent_told_somebody() -> None:
    """Every other says that nobody was told, or that it waits; each names its notice and its reader."""
    for telling in Telling:
        said = Told(telling, NOW, "Dana Reyes", 17).said.plain
        assert ("was emailed" in said) == (telling is Telling.SENT), telling
        assert said.startswith("Nobody was told") == (telling not in (Telling.SENT, Telling.PENDING)), telling
        assert ("Dana Reyes" in said and "(notice 17)" in said) == (telling is not Telling.SETTLING), telling
