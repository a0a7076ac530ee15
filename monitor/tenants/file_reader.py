"""Reads the tenants file, row by row: a wrong row spoils only itself. docs/tenants-file.md describes the file."""

import re
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from checks import yaml_document
from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialKind
from checks.errors import DocumentError
from checks.yaml_document import Document
from monitor.config.addresses import has_control_characters
from monitor.config.mail_addresses import mail_address
from monitor.config.secrets import check_credential_reference
from monitor.errors import ConfigurationError
from monitor.tenants.file import (
    MINT,
    CredentialConfig,
    Declined,
    Grant,
    OAuthConfig,
    Paused,
    TenantConfig,
    TenantProblem,
    TenantsFile,
)

# Not `.` and `..`: browsers take them for steps within a path, so no address could lead to such a tenant.
_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}")


def read_tenants_file(path: Path) -> TenantsFile:
    """The file's tenants and the problems of its rows; ConfigurationError if the file as a whole cannot be used.

    ReadFailed if it could not be read this time.
    """
    try:
        # Reading a named pipe would wait for a writer, for ever.
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"{path}: is not a regular file: name a file")
        document = yaml_document.read(path)
    except DocumentError as problem:
        raise ConfigurationError(str(problem)) from None
    reader = _RowReader(document)
    for index in range(_row_count(document)):
        reader.read(index)
    return TenantsFile(tuple(reader.tenants), tuple(reader.problems))


def _one_line(text: str) -> str:
    if has_control_characters(text):
        raise ValueError("holds a line break or another control character; remove it")
    return text


def _identifier(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("must be 1 to 64 letters, digits, dots, dashes or underscores, not `.` or `..`; correct it")
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
        raise ValueError("must be a number, as Greenhouse shows it; correct it")
    return text


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]


class _Strict(BaseModel):
    # Without strict=True, unlike manifests: dates and enums are made of the document's texts.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _CSM(_Strict):
    name: Text
    email: Annotated[str, AfterValidator(mail_address)]


class _OnPurpose(_Strict):
    """Where it is documented, since when, and who decided it."""

    reference: Text
    since: date | None = None
    by: Text | None = None


class _Declined(_OnPurpose):
    permission: Text


Reference = Annotated[str, AfterValidator(_reference)]
Number = Annotated[str, AfterValidator(_number)]


class _Credential(_Strict):
    """The fields of both kinds; those of the other kind are refused."""

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
    def _has_fields_of_its_kind(self) -> Self:
        if self.kind is CredentialKind.HARVEST_KEY:
            self._check_key()
        else:
            self._check_client()
        return self

    def _check_key(self) -> None:
        if self.key is None:
            raise ValueError("harvest-key needs a key; add `key: env:NAME` or `key: file:/absolute/path`")
        if any((self.client_id, self.client_secret, self.token, self.grant, self.organization, self.sub)):
            raise ValueError("harvest-key takes only label, key and manifest; remove the rest")

    def _check_client(self) -> None:
        if self.key is not None:
            raise ValueError("harvest-oauth takes no key; it has client_id, client_secret and token")
        if not (self.client_id and self.client_secret and self.token):
            raise ValueError(
                "harvest-oauth needs client_id, client_secret and token; each is a reference, and token points to the "
                "token that the integration holds, or is `mint`"
            )
        if self.sub is not None and self.token != MINT:
            raise ValueError("sub is the user a new token acts for, and is allowed only with `token: mint`; remove it")
        if self.grant is Grant.PARTNER and self.token == MINT:
            raise ValueError("Greenhouse does not mint tokens for a partner's client; refer to the integration's token")

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
    paused: _OnPurpose | None = None
    credential: _Credential | None = None
    credentials: list[_Credential] | None = Field(None, min_length=1)

    @field_validator("paused", mode="before")
    @classmethod
    def _says_why(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError('needs to say why; write `paused: {reference: "ticket 4711"}`, or remove it')
        return value

    @model_validator(mode="after")
    def _has_credentials(self) -> Self:
        if (self.credential is None) == (self.credentials is None):
            raise ValueError("needs either `credential:` for one, or `credentials:` for a list")
        labels = [credential.label for credential in self.all_credentials()]
        if len(set(labels)) < len(labels):
            raise ValueError("two credentials have the same label; give each the label the customer sees")
        return self

    def all_credentials(self) -> list[_Credential]:
        return [self.credential] if self.credential is not None else self.credentials or []


def _row_count(document: Document) -> int:
    problems = [str(problem) for problem in document.duplicates if len(problem.path) == 1]
    problems += [
        str(document.problem((name,), "is not a field of this file; correct its spelling or remove it"))
        for name in document.data
        if name != "tenants"
    ]
    rows = document.data.get("tenants")
    if not isinstance(rows, list) or not rows:
        problems.append(str(document.problem(("tenants",), "must be a list of one tenant or more; write `- id: …`")))
    if problems:
        raise ConfigurationError("\n".join(problems))
    return len(rows or ())


class _RowReader:
    """Reads rows one by one; a row that cannot be used adds its problems and nothing else."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._first_lines: dict[str, int] = {}
        self.tenants: list[TenantConfig] = []
        self.problems: list[TenantProblem] = []

    def read(self, index: int) -> None:
        line = self._document.line_of(("tenants", index))
        tenant_id = None
        try:
            row = self._document.part("tenants", index)
            tenant_id = _readable_id(row)
            # Before the row is validated: of two rows with one id the first counts, even if it is the wrong one.
            self._refuse_duplicate(row, tenant_id)
            self.tenants.append(_tenant(row, row.fit(_Row)))
        except DocumentError as error:
            for problem in error.problems:
                self._add_problem(tenant_id, line, problem)

    def _refuse_duplicate(self, row: Document, tenant_id: str | None) -> None:
        if tenant_id is None:
            return
        first = self._first_lines.setdefault(tenant_id, row.line)
        if first != row.line:
            text = f"is already the id of the tenant on line {first}; give each tenant its own id"
            raise DocumentError(str(row.problem(("id",), text)))

    def _add_problem(self, tenant_id: str | None, line: int, problem: str) -> None:
        suffix = "" if tenant_id is None else f" (tenant {tenant_id})"
        self.problems.append(TenantProblem(tenant_id, line, problem + suffix))


def _tenant(row: Document, model: _Row) -> TenantConfig:
    content = (
        model.id,
        model.name,
        model.csm.name if model.csm else None,
        model.csm.email if model.csm else None,
        tuple(model.features),
        model.write_probes,
        tuple(Declined(one.permission, one.reference, one.since, one.by) for one in model.declined),
        tuple(credential.config() for credential in model.all_credentials()),
    )
    paused = Paused(model.paused.reference, model.paused.since, model.paused.by) if model.paused else None
    # The digest is stored. Renaming one of these classes or fields would make every row look changed after an upgrade,
    # and so would a field that is always there.
    digested = content if paused is None else (*content, paused)
    digest = sha256(repr(digested).encode()).hexdigest()[:16]
    return TenantConfig(*content, row_digest=digest, line=row.line, paused=paused)


def _readable_id(row: Document) -> str | None:
    found = row.data.get("id")
    return found if isinstance(found, str) and _ID.fullmatch(found) else None
