"""The tenants file: who is watched, with which credentials, and who is told. docs/tenants-file.md describes it.

Keys are not read here: a reference is checked for its shape now and resolved when a check needs it.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from checks import yaml_document
from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialKind
from checks.errors import DocumentError, ManifestError
from checks.manifest import Manifest
from checks.v3.verdicts import ROLE_ID
from checks.yaml_document import Document
from monitor.config.addresses import has_control_characters, mail_address
from monitor.config.secrets import check_credential_reference
from monitor.errors import ConfigurationError

MINT = "mint"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Grant(StrEnum):
    """How the customer gave a credential of Harvest v3: made it for the vendor, or connected the partner's client."""

    CUSTOM = "custom"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class OAuthConfig:
    """`client_id` and `token` are references; a `token` that is MINT is asked for at each look.

    `organization` is the customer's number at Greenhouse, `sub` the user's for whom a new token acts.
    """

    client_id: str
    token: str
    grant: Grant
    organization: str | None = None
    sub: str | None = None


@dataclass(frozen=True, slots=True)
class CredentialConfig:
    """`reference` is where key or client secret is kept; `manifest` is None for the one of the settings.

    `oauth` is what a harvest-oauth credential has beside them, None of the other kind.
    """

    label: str
    kind: CredentialKind
    reference: str
    manifest: str | None
    oauth: OAuthConfig | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """A permission, by id or label, that the customer refuses on purpose."""

    permission: str
    reference: str
    since: date | None
    by: str | None


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """One row. `row_digest` changes with anything but `line`, which is where the row begins."""

    id: str
    name: str
    csm_name: str | None
    csm_email: str | None
    features: tuple[str, ...]
    write_probes: WriteProbes | None
    declined: tuple[Declined, ...]
    credentials: tuple[CredentialConfig, ...]
    row_digest: str
    line: int


@dataclass(frozen=True, slots=True)
class TenantProblem:
    """What is wrong with the row that begins at `line`; the message names file, exact line, field and tenant.

    `tenant_id` is None where the row has no readable id. A tenant can have a problem and be read all the same: one
    credential of several left out, or a second row with its id.
    """

    tenant_id: str | None
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class TenantsFile:
    tenants: tuple[TenantConfig, ...]
    problems: tuple[TenantProblem, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Every tenant the file speaks of, also those whose row can't be used: these are not gone."""
        unusable = {problem.tenant_id for problem in self.problems if problem.tenant_id is not None}
        return frozenset({tenant.id for tenant in self.tenants} | unusable)


def read(path: Path) -> TenantsFile:
    """The file's tenants, and its problems row by row; ConfigurationError where the file as a whole can't be used."""
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"{path}: is no regular file, and reading it might never end: name a file")
    try:
        found = yaml_document.read(path)
    except DocumentError as problem:
        raise ConfigurationError(str(problem)) from None
    reader = _Reader(found)
    for index in range(_row_count(found)):
        reader.take(index)
    return TenantsFile(tuple(reader.tenants), tuple(reader.problems))


def removed_too_many(before: Collection[str], after: Collection[str]) -> bool:
    """More tenants would disappear than max(2, 5 %): more likely a broken export than so many customers lost."""
    gone = len(set(before) - set(after))
    return gone > 2 and gone * 20 > len(set(before))


def check_against(tenant: TenantConfig, manifests: Sequence[Manifest]) -> tuple[TenantProblem, ...]:
    """Features and declined permissions that none of the manifests of the tenant's credentials knows."""
    known = {feature for manifest in manifests for feature in manifest.features}
    messages = [
        f"feature {feature!r} is in no manifest of this tenant (known: {', '.join(sorted(known)) or 'none'}): "
        "correct it or remove it"
        for feature in tenant.features
        if feature not in known
    ]
    messages += [f"declined: {reason}" for entry in tenant.declined for reason in _unknown(entry.permission, manifests)]
    return tuple(TenantProblem(tenant.id, tenant.line, f"{message} (tenant {tenant.id})") for message in messages)


def declined_ids(tenant: TenantConfig, manifest: Manifest) -> frozenset[str]:
    """The ids of the permissions of this manifest that the customer declined; what it does not know is left out."""
    return ids_of((entry.permission for entry in tenant.declined), manifest)


def ids_of(permissions: Iterable[str], manifest: Manifest) -> frozenset[str]:
    """The ids of permissions that are named by id or label; what this manifest does not know is left out."""
    known = [name for name in permissions if not _unknown(name, [manifest])]
    return frozenset(ROLE_ID if name == ROLE_ID else manifest.permission(name).id for name in known)


def _unknown(permission: str, manifests: Sequence[Manifest]) -> list[str]:
    """Why no manifest has this permission, in the words of the last; empty where one has it."""
    if permission == ROLE_ID:
        return []
    reason = ""
    for manifest in manifests:
        try:
            manifest.permission(permission)
        except ManifestError as problem:
            reason = str(problem)
        else:
            return []
    return [reason] if reason else []


def _one_line(text: str) -> str:
    if has_control_characters(text):
        raise ValueError("holds a line break or another control character; remove it")
    return text


def _identifier(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("must be 1 to 64 letters, digits, dots, dashes or underscores; correct it")
    return text


def _reference(text: str) -> str:
    try:
        check_credential_reference(text)
    except ConfigurationError as problem:
        raise ValueError(str(problem)) from None
    return text


def _token(text: str) -> str:
    return text if text == MINT else _reference(text)


def _number(text: str) -> str:
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise ValueError("must be a number as Greenhouse gives it; correct it")
    return text


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _CSM(_Strict):
    name: Text
    email: Annotated[str, AfterValidator(mail_address)]


class _Declined(_Strict):
    permission: Text
    reference: Text
    since: date | None = None
    by: Text | None = None


Reference = Annotated[str, AfterValidator(_reference)]
Number = Annotated[str, AfterValidator(_number)]


class _Credential(_Strict):
    """Either kind's fields; those of the other kind are refused."""

    kind: CredentialKind
    label: Text
    key: Reference | None = None
    manifest: Text | None = None
    client_id: Reference | None = None
    client_secret: Reference | None = None
    token: Annotated[str, AfterValidator(_token)] | None = None
    grant: Grant | None = None
    organization: Number | None = None
    sub: Number | None = None

    @model_validator(mode="after")
    def _fields_of_its_kind(self) -> Self:
        if self.kind is CredentialKind.HARVEST_KEY:
            self._is_a_key()
        else:
            self._is_a_client()
        return self

    def _is_a_key(self) -> None:
        if self.key is None:
            raise ValueError("harvest-key needs a key; add `key: env:NAME` or `key: file:/absolute/path`")
        if any((self.client_id, self.client_secret, self.token, self.grant, self.organization, self.sub)):
            raise ValueError("harvest-key takes label, key and manifest only; remove the rest")

    def _is_a_client(self) -> None:
        if self.key is not None:
            raise ValueError("harvest-oauth takes no key; it has client_id, client_secret and token")
        if not (self.client_id and self.client_secret and self.token):
            raise ValueError(
                "harvest-oauth needs client_id, client_secret and token: each the reference of where it is kept, and "
                "token the one that the integration holds, or `mint`"
            )
        if self.sub is not None and self.token != MINT:
            raise ValueError("sub chooses whom a new token acts for, and goes with `token: mint` only; remove it")
        if self.grant is Grant.PARTNER and self.token == MINT:
            raise ValueError("Greenhouse gives a partner's client no token by itself; name the token that is held")

    def config(self) -> CredentialConfig:
        return CredentialConfig(
            self.label, self.kind, self.key or self.client_secret or "", self.manifest, self._oauth()
        )

    def _oauth(self) -> OAuthConfig | None:
        if self.client_id is None or self.token is None:
            return None
        return OAuthConfig(self.client_id, self.token, self.grant or Grant.CUSTOM, self.organization, self.sub)


class _Row(_Strict):
    id: Annotated[str, AfterValidator(_identifier)]
    name: Text
    csm: _CSM | None = None
    features: list[Annotated[str, AfterValidator(_identifier)]] = Field(default_factory=list)
    write_probes: WriteProbes | None = None
    declined: list[_Declined] = Field(default_factory=list)
    credential: _Credential | None = None
    credentials: list[_Credential] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _credential_one_way(self) -> Self:
        if (self.credential is None) == (self.credentials is None):
            raise ValueError("needs `credential:` for one, or `credentials:` for a list, and not both")
        labels = [credential.label for credential in self.credentials_given()]
        if len(set(labels)) < len(labels):
            raise ValueError("two credentials have the same label; give each the label the customer sees")
        return self

    def credentials_given(self) -> list[_Credential]:
        return [self.credential] if self.credential is not None else self.credentials or []


def _row_count(found: Document) -> int:
    problems = [str(problem) for problem in found.duplicates if len(problem.path) == 1]
    problems += [
        str(found.problem((name,), "is no field that belongs here; correct its spelling or remove it"))
        for name in found.data
        if name != "tenants"
    ]
    rows = found.data.get("tenants")
    if not isinstance(rows, list) or not rows:
        problems.append(str(found.problem(("tenants",), "must be a list with one tenant or more; write `- id: …`")))
    if problems:
        raise ConfigurationError("\n".join(problems))
    return len(rows or ())


class _Reader:
    """Takes the rows one by one; a row that can't be used leaves its problems behind and nothing else."""

    def __init__(self, found: Document) -> None:
        self._document = found
        self._first_lines: dict[str, int] = {}
        self.tenants: list[TenantConfig] = []
        self.problems: list[TenantProblem] = []

    def take(self, index: int) -> None:
        line = self._document.line_of(("tenants", index))
        tenant_id = None
        try:
            row = self._document.part("tenants", index)
            tenant_id = _readable_id(row)
            self._refuse_second(row, tenant_id)
            self.tenants.append(self._tenant(row, row.fit(_Row)))
        except DocumentError as error:
            for problem in error.problems:
                self._note(tenant_id, line, problem)

    def _refuse_second(self, row: Document, tenant_id: str | None) -> None:
        if tenant_id is None:
            return
        first = self._first_lines.setdefault(tenant_id, row.line)
        if first != row.line:
            text = f"is the id of the tenant on line {first} already; give each tenant an id of its own"
            raise DocumentError(str(row.problem(("id",), text)))

    def _tenant(self, row: Document, model: _Row) -> TenantConfig:
        content = (
            model.id,
            model.name,
            model.csm.name if model.csm else None,
            model.csm.email if model.csm else None,
            tuple(model.features),
            model.write_probes,
            tuple(Declined(one.permission, one.reference, one.since, one.by) for one in model.declined),
            tuple(credential.config() for credential in model.credentials_given()),
        )
        return TenantConfig(*content, row_digest=sha256(repr(content).encode()).hexdigest()[:16], line=row.line)

    def _note(self, tenant_id: str | None, line: int, problem: str) -> None:
        whose = "" if tenant_id is None else f" (tenant {tenant_id})"
        self.problems.append(TenantProblem(tenant_id, line, problem + whose))


def _readable_id(row: Document) -> str | None:
    found = row.data.get("id")
    return found if isinstance(found, str) and _ID.fullmatch(found) else None
