"""What `doctor` finds wrong, or worth a look, in what it was told of an installation: pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from checks.credential import CredentialKind, Token
from checks.manifest import Manifest
from checks.v1.key_state import RETIRED_AFTER
from checks.v3.token_answers import CLOCKS_DIFFER, expiry_of
from monitor.config.settings import PREFIX, NoticesMode, Settings
from monitor.tenants.file import MINT, Grant
from monitor.tenants.targets import CheckTarget, CheckTargets


class Area(StrEnum):
    """In the order in which they are looked at."""

    SETTINGS = "settings"
    DATABASE = "database"
    MANIFEST = "manifest"
    TENANTS = "tenants"
    CREDENTIALS = "credentials"


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """Something that can not work, or is worth a look, and the next step. Tenant and credential where it is one's."""

    area: Area
    message: str
    next_step: str
    tenant: str | None = None
    credential: str | None = None


def told(area: Area, problem: str, tenant: str | None = None, credential: str | None = None) -> DoctorFinding:
    """A message of the house's errors, which says behind its last colon what to do."""
    message, colon, next_step = problem.rpartition(": ")
    return DoctorFinding(area, message if colon else problem, next_step if colon else "", tenant, credential)


def of_settings(settings: Settings) -> Iterator[DoctorFinding]:
    for problem in (*settings.problems_for_serving(), *settings.warnings_for_serving()):
        yield told(Area.SETTINGS, problem)
    if settings.notices_in_force is not NoticesMode.OFF and settings.public_url is None:
        yield DoctorFinding(
            Area.SETTINGS,
            f"{PREFIX}PUBLIC_URL is not set, so mails hold no links",
            "set it to the address under which people reach this service",
        )


def of_tenants(targets: CheckTargets) -> Iterator[DoctorFinding]:
    for problem in targets.file.problems:
        next_step = "correct the row; `serve` reads the file again by itself"
        yield DoctorFinding(Area.TENANTS, problem.message, next_step, problem.tenant_id)


def of_derived(manifests: Iterable[Manifest]) -> Iterator[DoctorFinding]:
    """Manifests that nobody has accepted the derived scopes of."""
    for manifest in manifests:
        yield DoctorFinding(
            Area.MANIFEST,
            f"v3 scopes of {manifest.name} are derived and not the vendor's own list, and nobody has accepted them: "
            "what v3 customers lack goes to the operator alone",
            f"read `harvest-monitor manifest show {manifest.name} --v3`, then run `harvest-monitor manifest accept-v3 "
            f"{manifest.name} --reason …`",
        )


def derived(targets: CheckTargets) -> list[Manifest]:
    """The manifests of v3 credentials whose scopes the vendor has not published, each once."""
    asked = (each.manifest for each in targets.all if each.credential.oauth is not None)
    return list({one.digest: one for one in asked if one.v3_source == "derived"}.values())


def of_keys(targets: CheckTargets, now: datetime) -> Iterator[DoctorFinding]:
    """Keys of v1 that are still there although v1 is not."""
    kinds: dict[str, set[CredentialKind]] = {}
    for each in targets.all:
        kinds.setdefault(each.tenant.id, set()).add(each.credential.kind)
    left = [tenant for tenant, theirs in kinds.items() if CredentialKind.HARVEST_KEY in theirs]
    if now < RETIRED_AFTER or not left:
        return
    without = sum(CredentialKind.HARVEST_OAUTH not in kinds[tenant] for tenant in left)
    yield DoctorFinding(
        Area.CREDENTIALS,
        f"{len(left)} tenants have a Harvest v1/v2 key, which Greenhouse retired after 31 August 2026; {without} of "
        "them have no v3 credential beside it",
        "`harvest-monitor tenants migration` lists them, and says what to ask of each",
    )


def of_clients(targets: CheckTargets) -> Iterator[DoctorFinding]:
    for each in targets.all:
        yield from _of_client(each)


def _of_client(target: CheckTarget) -> Iterator[DoctorFinding]:
    oauth = target.credential.oauth
    whose = (target.tenant.id, target.credential.label)
    if oauth is not None and oauth.token == MINT:
        yield DoctorFinding(
            Area.CREDENTIALS,
            "`token: mint` asks for a new token at each look, and Greenhouse may let a new token end the one that the "
            "integration holds (not on record)",
            "hold a token where you can: name the one of the integration by its reference",
            *whose,
        )
    if oauth is not None and oauth.grant is Grant.PARTNER and oauth.organization is None:
        yield DoctorFinding(
            Area.CREDENTIALS,
            "a partner's client serves many customers, and without `organization` the token of another one would be "
            "taken for this one's",
            "add `organization`, the customer's number at Greenhouse",
            *whose,
        )


def of_token(token: Token, now: datetime) -> str | None:
    """What is wrong with a held token as far as it tells by itself."""
    expires_at = expiry_of(token)
    if expires_at is None or expires_at > now - CLOCKS_DIFFER:
        return None
    return f"the token ran out at {expires_at:%Y-%m-%d %H:%M}Z: mend what feeds it"


def counted(targets: CheckTargets) -> dict[str, int]:
    """How many credentials there are of each kind, and in which of the ways that v3 has."""
    return dict(sorted(Counter(name for each in targets.all for name in _names(each)).items()))


def _names(target: CheckTarget) -> Iterable[str]:
    oauth = target.credential.oauth
    if oauth is None:
        return ["harvest-key"]
    return [f"harvest-oauth, {oauth.grant}", *(["harvest-oauth, minting"] if oauth.token == MINT else [])]
