"""What is sent for a pre-flight. A secret is wrapped as it is read, and refused if it is plainly something else."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, TypeAdapter, WithJsonSchema
from pydantic import model_validator as checked

from checks.catalogue.entry import WriteProbes
from checks.credential import CredentialKind, OAuthClient, Secret, Token
from checks.errors import CredentialError
from checks.v1.stored_key import require_key
from checks.v3.stored_client import (
    CLIENT_ID,
    CLIENT_SECRET,
    TOKEN,
    require_client_id,
    require_client_secret,
    require_in_place,
    require_token,
)
from monitor.checking.preflight.terms import PreflightTerms
from monitor.redaction import has_known_shape, redactor
from monitor.tenants.credential_loader import LoadedCredential
from monitor.tenants.file import MINT, Grant
from monitor.web.field_problem import FieldProblem


def _wrapped(kind: type[Secret], require: Callable[[str], None]) -> Callable[[object], Secret]:
    """Text that becomes a secret at once, and that every log masks from then on."""

    def wrap(value: object) -> Secret:
        if not isinstance(value, str):
            raise FieldProblem("invalid_request", "must be text")
        try:
            require(value)
            secret = kind(value)
        except CredentialError as problem:
            raise FieldProblem("not_a_secret", str(problem)) from None
        # Tokens have a shape that is masked without having been learned.
        if not has_known_shape(value):
            redactor.learn(secret)
        return secret

    return wrap


def _schema(kind: type[Secret], description: str) -> WithJsonSchema:
    limits = {"minLength": 1, "maxLength": kind.LONGEST}
    return WithJsonSchema(
        {"type": "string", "format": "password", "writeOnly": True, "description": description, **limits}
    )


_hold_token = _wrapped(Token, require_token)


def _token(value: object) -> Secret | None:
    return None if value == MINT else _hold_token(value)


def _nothing_stored(value: object) -> object:
    if value is not False:
        raise FieldProblem("nothing_is_stored", "nothing of a pre-flight is stored: tenants come from the tenants file")
    return value


Key = Annotated[
    Secret,
    PlainValidator(_wrapped(Secret, require_key)),
    _schema(Secret, "the key itself, as Greenhouse shows it"),
]
ClientId = Annotated[
    Secret, PlainValidator(_wrapped(Secret, require_client_id)), _schema(Secret, "the client id itself")
]
ClientSecret = Annotated[
    Secret, PlainValidator(_wrapped(Secret, require_client_secret)), _schema(Secret, "the client secret itself")
]
TokenOrMint = Annotated[
    Token | None,
    PlainValidator(_token),
    _schema(Token, "the token that the integration holds, or the word `mint` to have a new one made"),
]
Number = Annotated[str, Field(pattern="^[0-9]{1,20}$", coerce_numbers_to_str=True)]
Named = Annotated[str, Field(min_length=1, max_length=200)]


class _Preflight(BaseModel):
    # hide_input_in_errors: a field may hold a pasted secret, which pydantic would quote.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    manifest: Named | None = Field(None, description="the name of a manifest; the service's own if left out")
    features: list[Named] = Field([], max_length=50, description="what the customer uses, as the manifest names it")
    declined: list[Named] = Field(
        [], max_length=200, description="permissions that the customer refuses, by id or label"
    )
    write_probes: WriteProbes = Field(WriteProbes.OFF, description="no further than the service's setting")
    tenant: str | None = Field(
        None, pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="a label for the log and the result, no more"
    )
    store: Annotated[Literal[False], BeforeValidator(_nothing_stored)] = Field(
        False, description="nothing is stored: tenants come from the tenants file"
    )

    @property
    def terms(self) -> PreflightTerms:
        return PreflightTerms(self.manifest, self.features, self.declined, self.write_probes)

    @checked(mode="after")
    def _label_is_no_secret(self) -> Self:
        # It is logged and answered; by now the secrets are known.
        if self.tenant is not None and redactor.text(self.tenant) != self.tenant:
            raise FieldProblem("secret_in_tenant", "tenant holds a secret; it is a label that is logged")
        return self


class KeyPreflight(_Preflight):
    """A key of Harvest v1/v2."""

    kind: Literal[CredentialKind.HARVEST_KEY]
    key: Key

    @property
    def credential(self) -> LoadedCredential:
        return self.key

    @property
    def granted(self) -> Grant | None:
        return None


class ClientPreflight(_Preflight):
    """A credential of Harvest v3."""

    kind: Literal[CredentialKind.HARVEST_OAUTH]
    client_id: ClientId
    client_secret: ClientSecret
    token: TokenOrMint
    organization: Number | None = Field(None, description="the customer's number at Greenhouse")
    grant: Grant = Field(Grant.CUSTOM, description="how the customer gave it")
    sub: Number | None = Field(None, description="the user a new token acts for; only with `mint`")

    @property
    def credential(self) -> LoadedCredential:
        return OAuthClient(self.client_id, self.client_secret, self.token, self.sub, self.organization)

    @property
    def granted(self) -> Grant | None:
        return self.grant

    @checked(mode="after")
    def _fits_together(self) -> Self:
        if self.sub is not None and self.token is not None:
            raise FieldProblem("invalid_request", "sub is the user a new token acts for, and needs `mint` as token")
        if self.grant is Grant.PARTNER and self.token is None:
            raise FieldProblem(
                "invalid_request", "Greenhouse makes no tokens for a partner's client: send the integration's token"
            )
        return self

    @checked(mode="after")
    def _secrets_in_place(self) -> Self:
        texts = {CLIENT_ID: self.client_id, CLIENT_SECRET: self.client_secret, TOKEN: self.token}
        try:
            require_in_place({what: text for what, text in texts.items() if text is not None})
        except CredentialError:
            # Its own words are about the references of the tenants file.
            text = "client_id, client_secret and token: two are the same, or one stands in another's place"
            raise FieldProblem("not_a_secret", text) from None
        return self


PreflightBody = Annotated[KeyPreflight | ClientPreflight, Field(discriminator="kind")]
PREFLIGHT_BODY: TypeAdapter[KeyPreflight | ClientPreflight] = TypeAdapter(PreflightBody)


def body_schema() -> dict[str, Any]:
    """Of the OpenAPI document: FastAPI does not know the body, since the route reads it by hand."""
    return PREFLIGHT_BODY.json_schema(ref_template="#/components/schemas/{model}")
