"""All that one check learned about a v3 credential."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from checks.answer import Answer, AnswerKind
from checks.catalogue.scopes import known, scope
from checks.credential import OAuthClient
from checks.v3.token_answers import AuthAnswer, Introspection


@dataclass(frozen=True, slots=True)
class TokenEvidence:
    """`minted` and `introspected` are None where nothing was asked; `answers` are lists, by scope.

    `introspected_at` is by our clock. `cut_short` says why the check ended early, if it did.
    """

    minted: AuthAnswer | None = None
    introspected: AuthAnswer | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    cut_short: str | None = None
    introspected_at: datetime | None = None

    @property
    def introspection(self) -> Introspection | None:
        return self.introspected.introspection if self.introspected else None

    @property
    def scopes(self) -> frozenset[str] | None:
        """What the token carries, if introspection says so in Greenhouse's names; other words count for nothing."""
        named = self.introspection.scopes if self.introspection else None
        # A spelling that nobody has recorded must not make everything missing: the lists decide instead.
        return named if named and not named.isdisjoint(known()) else None

    @property
    def scopes_unreadable(self) -> bool:
        """Scopes were named, and not wholly understood, or none of them by Greenhouse's names."""
        if self.introspection is None or self.scopes is not None:
            return False
        return self.introspection.scopes_unreadable or self.introspection.scopes is not None

    @property
    def unknown_writes_carried(self) -> bool:
        """The token carries a scope of a name that this release does not know, and that is not plainly one to read."""
        return any(name not in known() and not scope(name).is_read for name in self.scopes or ())

    @property
    def contradicted(self) -> bool:
        """Introspection contradicts itself."""
        if self.introspection is None or self.introspected_at is None:
            return False
        return self.introspection.contradicts_itself(self.introspected_at)

    @property
    def confirming(self) -> dict[str, Answer]:
        """Of the lists read those that the token is said to open."""
        carried = self.scopes or frozenset()
        return {name: answer for name, answer in self.answers.items() if name in carried}

    @property
    def refuting(self) -> list[str]:
        """The scopes whose lists were read although the token is said not to carry them."""
        if self.scopes is None:
            return []
        carried = self.scopes
        return [name for name, a in self.answers.items() if a.kind is AnswerKind.JSON and name not in carried]

    @property
    def absence_refuted(self) -> bool:
        return bool(self.refuting)

    @property
    def rows_served(self) -> bool:
        return any(answer.kind is AnswerKind.JSON and not answer.empty for answer in self.answers.values())

    @property
    def counts_requests(self) -> bool:
        """A list that was read stated the rate limit, as every recorded answer of Harvest does (v3: May 2026)."""
        return any(answer.kind is AnswerKind.JSON and answer.counted for answer in self.answers.values())

    def some(self, *kinds: AnswerKind) -> bool:
        return any(answer.kind in kinds for answer in self.answers.values())

    def may_be_foreign(self, client: OAuthClient) -> bool:
        """Nothing has confirmed that the held token is this customer's, and the tenants file asks for that."""
        organization = self.introspection.organization if self.introspection else None
        return client.needs_introspection and organization is None
