"""The result of a check as the API describes it: an entry of `check --json`, and the advice of a pre-flight."""

from pydantic import BaseModel, Field

from checks.credential import CredentialKind, CredentialState
from checks.report import Outcome, Verdict
from monitor.checking.preflight.preflight_queue import PreflightState
from monitor.web.utc_moment import UtcMoment


class CheckedCredential(BaseModel):
    label: str
    kind: CredentialKind
    state: CredentialState
    detail: str = Field(description="a code of docs/verdicts.md, or empty")
    failure: str | None = Field(None, description="why there was no connection, with server, proxy and certificate")
    fingerprint: str | None = Field(description="the same for the same secret; nobody can derive the secret from it")


class CheckedManifest(BaseModel):
    name: str
    version: str
    digest: str
    v3_source: str | None = Field(None, description="`derived` where the vendor has published no scopes")


class CheckedPermission(BaseModel):
    id: str
    group: str
    label: str
    verdict: Verdict
    reason: str
    rule: str
    mapping: str | None = Field(None, description="`likely` where the endpoint is only the best match")
    declined: bool = False
    scopes: list[str] = []


class CheckedExcess(BaseModel):
    """Something the credential may do and the manifest does not ask for."""

    label: str
    endpoint: str | None = None
    scope: str | None = None
    certain: bool


class AdviceBox(BaseModel):
    label: str
    likely: bool


class AdviceGroup(BaseModel):
    group: str
    boxes: list[AdviceBox]


class PreflightAdvice(BaseModel):
    summary: str
    where: str | None = Field(description="the menu at Greenhouse, or what to do there")
    tick: list[AdviceGroup] = Field(description="the boxes that are not ticked, as Greenhouse groups them")


class PreflightResult(BaseModel):
    tenant: str
    credential: CheckedCredential
    manifest: CheckedManifest
    outcome: Outcome
    unchecked: int = Field(description="permissions that could not be checked, such as writes without write probes")
    permissions: list[CheckedPermission]
    excess: list[CheckedExcess]
    requests: int
    duration_seconds: float
    errors: list[str]
    advice: PreflightAdvice


class PreflightAnswer(BaseModel):
    id: str
    state: PreflightState
    created_at: UtcMoment
    done_at: UtcMoment | None = None
    result: PreflightResult | None = Field(
        None, description="once it is done; null if it was broken off, as when the service stops: ask again"
    )
