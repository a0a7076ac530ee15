"""What `doctor` finds wrong, or worth attention, in the settings and the tenants file: pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import URL

from checks.connection_failure import ConnectionFailure
from checks.credential import CredentialKind, Token
from checks.manifest import Manifest
from checks.reasons import advice
from checks.v1.key_state import RETIRED_AFTER
from checks.v3.token_answers import CLOCKS_DIFFER, expiry_of
from monitor.config.settings import PREFIX, NoticesMode, Settings
from monitor.database_address import declines_tls, place
from monitor.notices import wording
from monitor.tenants.file import MINT, Grant
from monitor.tenants.targets import CheckTarget, CheckTargets
from monitor.upkeep.finding import DoctorArea, HealthFinding, Severity


def of_settings(settings: Settings) -> Iterator[HealthFinding]:
    for problem in (*settings.problems_for_serving(), *settings.warnings_for_serving()):
        yield HealthFinding.of_error(DoctorArea.SETTINGS, problem)
    if settings.database_may_be_overheard:
        yield of_clear_text(settings.database)
    if settings.notices_in_force is not NoticesMode.OFF and settings.public_url is None:
        yield HealthFinding(
            DoctorArea.SETTINGS,
            f"{PREFIX}PUBLIC_URL is not set, so emails contain no links: readers have to find the page by themselves",
            "set it to the address where people open this service, such as https://monitor.vendor.example",
            severity=Severity.NOTE,
        )
    if settings.notices_in_force is not NoticesMode.OFF and (unset := settings.unset_words):
        yield HealthFinding(
            DoctorArea.SETTINGS,
            f"{', '.join(unset)}: not set, so what CSMs forward cannot say by which name customers know you, whom they "
            "ask, or how they hand over a new secret",
            "set what is true for all customers; docs/notices.md has the emails",
            severity=Severity.NOTE,
        )


def of_clear_text(url: URL) -> HealthFinding:
    """Of a database on another machine; to decline TLS in so many words is a choice."""
    return HealthFinding(
        DoctorArea.SETTINGS,
        f"the database {place(url)} is on another machine, and {PREFIX}DATABASE_URL does not demand TLS: whoever is on "
        "the line may read the password and all data",
        "add sslmode=verify-full and sslrootcert=/path/to/ca.pem to it (docs/database.md)",
        severity=Severity.NOTE if declines_tls(url) else Severity.PROBLEM,
    )


def of_tenants(targets: CheckTargets) -> Iterator[HealthFinding]:
    for problem in targets.file.problems:
        next_step = "correct the row; `serve` reloads the file automatically"
        yield HealthFinding(DoctorArea.TENANTS, problem.message, next_step, problem.tenant_id)


def of_derived(manifests: Iterable[Manifest]) -> Iterator[HealthFinding]:
    """These manifests have derived scopes, which nobody has accepted yet."""
    for manifest in manifests:
        yield HealthFinding(
            DoctorArea.MANIFEST,
            f"the v3 scopes of {manifest.name} are derived, not published by the vendor, and nobody has accepted them: "
            "what is missing for v3 customers is reported to the operator only",
            f"read `harvest-monitor manifest show {manifest.name} --v3`, then run `harvest-monitor manifest accept-v3 "
            f"{manifest.name} --reason …`",
            severity=Severity.NOTE,
        )


def derived(targets: CheckTargets) -> list[Manifest]:
    """The manifests of v3 credentials whose scopes the vendor has not published, without duplicates."""
    asked = (target.manifest for target in targets.all if target.credential.oauth is not None)
    return list({one.digest: one for one in asked if one.v3_source == "derived"}.values())


def of_keys(targets: CheckTargets, now: datetime) -> Iterator[HealthFinding]:
    """Keys of v1 still in use after the day on which v1 was to end. Whether they still work, a check tells."""
    kinds: dict[str, set[CredentialKind]] = {}
    for target in targets.all:
        kinds.setdefault(target.tenant.id, set()).add(target.credential.kind)
    left = [tenant for tenant, theirs in kinds.items() if CredentialKind.HARVEST_KEY in theirs]
    if now < RETIRED_AFTER or not left:
        return
    without = sum(CredentialKind.HARVEST_OAUTH not in kinds[tenant] for tenant in left)
    yield HealthFinding(
        DoctorArea.CREDENTIALS,
        f"{wording.counted(len(left), 'tenant')} with a Harvest v1/v2 key, whose end Greenhouse announced for "
        f"31 August 2026; {without} of them without a v3 credential",
        "`harvest-monitor tenants migration` lists them, and what to ask each of them for",
        severity=Severity.NOTE,
    )


def of_clients(targets: CheckTargets) -> Iterator[HealthFinding]:
    for target in targets.all:
        yield from _of_client(target)


def _of_client(target: CheckTarget) -> Iterator[HealthFinding]:
    oauth = target.credential.oauth
    whose = (target.tenant.id, target.credential.label)
    if oauth is not None and oauth.token == MINT:
        yield HealthFinding(
            DoctorArea.CREDENTIALS,
            "`token: mint` requests a new token for each check, which may revoke the token that the integration uses "
            "(Greenhouse does not document this)",
            "use a held token where you can: give the reference of the integration's own",
            *whose,
            severity=Severity.NOTE,
        )
    if oauth is not None and oauth.grant is Grant.PARTNER and oauth.organization is None:
        yield HealthFinding(
            DoctorArea.CREDENTIALS,
            "a partner's client serves many customers, and without `organization` another customer's token would be "
            "taken for this one's",
            "add `organization`, the customer's number at Greenhouse",
            *whose,
        )


def v3(targets: CheckTargets) -> bool:
    """Whether any credential needs the auth server."""
    return any(target.credential.oauth is not None for target in targets.all)


def of_way(failure: ConnectionFailure, unused: bool) -> HealthFinding:
    """One of Greenhouse's servers cannot be reached; `unused` if no credential needs it yet."""
    return HealthFinding(
        DoctorArea.NETWORK,
        failure.message,
        advice(failure.code) or "ask who runs the network between this machine and Greenhouse",
        severity=Severity.NOTE if unused else Severity.PROBLEM,
    )


def of_token(token: Token, now: datetime) -> str | None:
    """What is wrong with a held token, as far as the token itself shows."""
    expires_at = expiry_of(token)
    if expires_at is None or expires_at > now - CLOCKS_DIFFER:
        return None
    return f"the token expired at {expires_at:%Y-%m-%d %H:%M}Z: repair what supplies it"


def counted(targets: CheckTargets) -> dict[str, int]:
    """How many credentials there are of each kind; those of v3 by grant, and by whether a token is minted."""
    return dict(sorted(Counter(name for target in targets.all for name in _names(target)).items()))


def _names(target: CheckTarget) -> Iterable[str]:
    oauth = target.credential.oauth
    if oauth is None:
        return ["harvest-key"]
    return [f"harvest-oauth, {oauth.grant}", *(["harvest-oauth, minting"] if oauth.token == MINT else [])]
