"""What the evidence about a token comes to: findings, the role of its user, excess."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from checks.catalogue.scopes import scope
from checks.check_request import CheckRequest
from checks.credential import CredentialState, OAuthClient
from checks.judgement import Judgement
from checks.manifest import Permission
from checks.report import CheckReport, Excess
from checks.report_builder import ReportBuilder
from checks.v3.evidence import TokenEvidence
from checks.v3.verdicts import ROLE_ID, ScopeRule, doubt, judge, judge_role

_ROLE = Permission(id=ROLE_ID, group="Role of the token's user", label="Site Admin", endpoint=None)


def required_scopes(request: CheckRequest) -> list[str]:
    """The scopes of what the tenant needs, each once, in the order of the manifest."""
    applying = request.manifest.applying_to(request.features)
    return list(dict.fromkeys(name for permission in applying for name in permission.scopes))


@dataclass(frozen=True)
class ScopeReport:
    seen: TokenEvidence
    client: OAuthClient
    request: CheckRequest

    def build(self, state: CredentialState, detail: str) -> CheckReport:
        builder = ReportBuilder(self.request, state, detail, ScopeRule.NOT_ASKED)
        decided = builder.void is None and self.seen.scopes is not None and self._doubt is None
        return builder.build(
            builder.findings(self._permissions, self._judge),
            excess=tuple(self._excess()) if decided else (),
            # Introspection names every scope, so one that it leaves out is gone.
            excess_is_whole=decided and not self.seen.absence_refuted,
            provisional=self.request.manifest.v3_source == "derived",
        )

    @cached_property
    def _doubt(self) -> str | None:
        return doubt(self.seen, self.client)

    @property
    def _permissions(self) -> Iterator[Permission]:
        """Decided by scope: neither the endpoint nor how well it is known plays a part."""
        for permission in self.request.manifest.applying_to(self.request.features):
            yield replace(permission, endpoint=None, mapping="exact")
        yield _ROLE

    def _judge(self, permission: Permission) -> Judgement:
        if permission is _ROLE:
            return judge_role(self.seen, self._doubt)
        return judge(permission, self.seen, self._doubt, self.request)

    def _excess(self) -> Iterator[Excess]:
        beyond = (self.seen.scopes or frozenset()) - set(required_scopes(self.request))
        for each in sorted(map(scope, beyond), key=lambda one: (one.group, one.title, one.name)):
            yield Excess(label=f"{each.group} › {each.title}", endpoint=each.name, certain=True)
