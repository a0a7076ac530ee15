"""All that one check learned about a v3 credential."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from checks.answer import Answer, AnswerKind
from checks.catalogue.scopes import known
from checks.credential import OAuthClient
from checks.v3.token_answers import AuthAnswer, Introspection


@dataclass(frozen=True, slots=True)
class TokenEvidence:
    """`minted` and `introspected` are None where nothing was asked; `answers` are lists, by scope.

    `cut_short` says why the check ended early, if it did.
    """

    minted: AuthAnswer | None = None
    introspected: AuthAnswer | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    cut_short: str | None = None

    @property
    def introspection(self) -> Introspection | None:
        return self.introspected.introspection if self.introspected else None

    @property
    def scopes(self) -> frozenset[str] | None:
        """What the token carries, if introspection says so in Greenhouse's names; other words count for nothing."""
        named = self.introspection.scopes if self.introspection else None
        # A spelling that nobody has recorded must not make everything missing: the lists decide instead.
        return named if named and not named.isdisjoint(known()) else None

    def some(self, *kinds: AnswerKind) -> bool:
        return any(answer.kind in kinds for answer in self.answers.values())

    def may_be_foreign(self, client: OAuthClient) -> bool:
        """Nothing has confirmed that the held token is this customer's, and the tenants file asks for that."""
        organization = self.introspection.organization if self.introspection else None
        return client.needs_introspection and organization is None
