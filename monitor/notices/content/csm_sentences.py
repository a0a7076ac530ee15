"""The sentences of emails to CSMs: made once, so that text and page say the same.

Plain text: the page's template escapes it.
"""

from dataclasses import dataclass

from monitor.notices.content.credential_news import Coverage, CredentialNews, Listing, StateChange
from monitor.notices.content.messages import CsmMessage
from monitor.notices.content.retired_message import RetiredMessage
from monitor.notices.content.vendor import Vendor
from monitor.notices.wording import counted, listed

ACCEPT = 'harvest-monitor manifest accept-v3 --reason "..."'
_RETIRED_V1 = (
    "retired by Greenhouse, which announced that keys of this kind (Harvest API v1 and v2) would be unavailable after "
    "31 August 2026"
)


@dataclass(frozen=True, slots=True)
class CsmSentences:
    vendor: Vendor

    def subject(self, message: CsmMessage) -> str:
        """Customer, fact, and which ones."""
        failed, recovered = message.count("credential_failed"), message.count("recovered")
        lost, regained = message.count("lost"), message.count("regained")
        facts = [
            self._without_access(failed, message) if failed else "",
            _which("Greenhouse permission missing", f"{lost} Greenhouse permissions missing", message, "lost"),
            self._with_access(recovered) if recovered else "",
            _which("permission restored", f"{regained} permissions restored", message, "regained"),
        ]
        return f"{message.tenant}: {', '.join(filter(None, facts))}"

    def _without_access(self, failed: int, message: CsmMessage) -> str:
        if not message.has_other_access:
            return f"{self.vendor.called} has lost access to Greenhouse"
        return "a Greenhouse credential no longer works" if failed == 1 else f"{failed} Greenhouse credentials fail"

    def _with_access(self, recovered: int) -> str:
        if recovered == 1:
            return f"{self.vendor.called} has access to Greenhouse again"
        return f"{recovered} Greenhouse credentials work again"

    def failed(self, news: CredentialNews, change: StateChange, message: CsmMessage) -> tuple[str, str]:
        """What stopped, and what is known about when and why."""
        place = _account(message.tenant)
        if change.detail == "no_scopes":
            first = f"{self.vendor.begins} gets nothing from {place} any more: “{news.label}” has no scopes left."
            return first, f"It lost them {change.window}. Until they are restored, nothing that uses it works."
        if message.has_other_access:
            first = f"Nothing that uses the credential “{news.label}” works in {place} any more."
            first += f" Another credential of {message.tenant} still works."
        else:
            first = f"{self.vendor.begins} has lost access to {place}."
            first += f" Nothing that uses the credential “{news.label}” works."
        why = "or its secret was changed."
        if news.kind == "harvest-key":
            why = f"or {_RETIRED_V1}. We cannot tell which from here."
        return first, f"It stopped working {change.window}. Greenhouse does not accept it: it was revoked, {why}"

    def lost(self, news: CredentialNews, lost: Listing, tenant: str) -> tuple[str, str]:
        """What cannot be done and how much is missing; then when that began."""
        one = lost.count == 1
        rest = "" if news.change("credential_failed") else " The credential itself still works."
        return (
            self._effect(news, lost, tenant),
            f"{'It' if one else 'They'} went missing on “{news.label}” {lost.window}.{rest}",
        )

    def _effect(self, news: CredentialNews, lost: Listing, tenant: str) -> str:
        if not lost.effects:
            return (
                f"{self.vendor.begins} does not get all it needs from {_account(tenant)}: the connection "
                f"“{news.label}” acts for a user who is not a Site Admin."
            )
        return (
            f"{self.vendor.begins} can no longer {listed(lost.effects, 'or')} in {_account(tenant)}: "
            f"{_size(lost.count, news.coverage)} {'is' if lost.count == 1 else 'are'} missing."
        )

    @property
    def likely(self) -> str:
        return "Likely: Greenhouse does not document exactly which box allows this request. The one named fits best."

    def recovered(self, news: CredentialNews, change: StateChange, tenant: str) -> tuple[str, str]:
        lasted = f"It had not worked for {change.lasted}. " if change.lasted else ""
        return (
            f"{self.vendor.begins} has access to {_account(tenant)} again.",
            f"{lasted}Greenhouse started to accept “{news.label}” again {change.window}.",
        )

    def regained(self, news: CredentialNews, regained: Listing, tenant: str) -> tuple[str, str]:
        one = regained.count == 1
        back = f"{'the permission is' if one else f'{regained.count} permissions are'} back on “{news.label}”."
        can = f"can {listed(regained.effects)} in" if regained.effects else "gets what it needs from"
        they = "It" if one else "They"
        lasted = f" {'was' if one else 'were'} missing for {regained.lasted}, and" if regained.lasted else ""
        return (
            f"{self.vendor.begins} {can} {_account(tenant)} again: {back}",
            f"{they}{lasted} came back {regained.window}.",
        )

    def still_open(self, news: CredentialNews) -> str:
        """What is known about the rest, where something came back."""
        if news.still_missing and news.to_another:
            return "Still missing; the email about it went to somebody else:"
        if news.still_missing:
            return "Still missing, as we wrote to you before:"
        missing = news.coverage.missing
        if missing and not news.listing("lost"):
            return (
                f"{counted(missing, 'other permission')} of “{news.label}” {'is' if missing == 1 else 'are'} missing, "
                "and not new: the operator of Harvest Monitor knows."
            )
        return f"No other permission of “{news.label}” is known to be missing." if news.coverage.needed else ""

    def move(self, message: CsmMessage) -> str:
        """Whose move it is, and what comes next."""
        if not message.asks:
            nothing = "" if message.is_open else "There is nothing you need to do."
            return f"{nothing}{self._contact}".strip()
        several = message.count("lost") + message.count("credential_failed") > 1
        return (
            f"Your move: forward the part below to {message.tenant}. Harvest Monitor checks again within "
            f"{self.vendor.checks_every}, and you get an email as soon as {'something' if several else 'it'} is back."
            f"{self._contact}"
        )

    @property
    def _contact(self) -> str:
        return f" Questions: {self.vendor.contact}" if self.vendor.contact else ""

    def no_list(self, message: CsmMessage) -> str:
        """Where the part to forward cannot say which boxes a new credential needs."""
        refused = [n for n in message.credentials if n.change("credential_failed") and n.grant != "partner"]
        if all(news.successor for news in refused):
            return ""
        return (
            "If they answer that it is gone, or was enabled all along, they need a new credential. Which boxes to tick "
            f"on it is not approved yet: the operator of Harvest Monitor does that with {ACCEPT}"
        )

    def about(self, whom: str) -> str:
        """Why the reader gets this, and what checks."""
        why = f"You're getting this because you manage {whom}. " if whom else ""
        reads = "It only reads; it never changes" if self.vendor.only_reads else "It never changes"
        return (
            f"{why}Harvest Monitor checks every {self.vendor.checks_every} that {self.vendor.called} still has the "
            f"access it needs in Greenhouse. {reads} anything in Greenhouse."
        )

    # About keys that Greenhouse retired, of several customers.

    def retired_subject(self, message: RetiredMessage) -> str:
        if message.count == 1:
            fact = "still has no" if message.again else "has lost"
            return f"{message.names[0]}: {self.vendor.called} {fact} access to Greenhouse (API key switched off)"
        fact = "still has no" if message.again else "has lost"
        where = f"the Greenhouse accounts of {message.count:,} customers"
        return f"{self.vendor.begins} {fact} access to {where} (API keys switched off): {', '.join(message.names)}"

    def retired(self, message: RetiredMessage) -> str:
        one = message.count == 1
        accounts = f"the Greenhouse accounts of {message.count:,} of your customers"
        place = _account(message.names[0]) if one else accounts
        return f"{self.vendor.begins} has lost access to {place}: nothing works there until there is a new credential."

    def retired_why(self, message: RetiredMessage) -> str:
        return (
            "Greenhouse has switched off the keys of its Harvest API v1 and v2, as announced for after 31 August 2026. "
            f"{'The customer has' if message.count == 1 else 'These customers have'} no other credential that works. "
            "No permission is missing: ticking boxes on the old key does not help."
        )

    def retired_move(self, message: RetiredMessage) -> str:
        if not message.requests:
            return "Your move: ask the operator of Harvest Monitor, as said below."
        if not any(request.approved for request in message.requests):
            return (
                "There is nothing to forward yet: which boxes to tick on a new credential is derived from the old key, "
                f"and the operator of Harvest Monitor has to approve that first ({ACCEPT}). You get another email with "
                "the part to forward as soon as that is done."
            )
        one = message.count == 1
        waiting = " For some customers the list is not approved yet; for them another email follows."
        return (
            f"Your move: forward the part below to {'the customer' if one else 'each of them'}. You get another email "
            f"in a month if {'it' if one else 'one of them'} has no new credential by then."
            f"{waiting if message.waits_for_approval else ''}{self._contact}"
        )


def _account(tenant: str) -> str:
    return f"{tenant}'s Greenhouse account"


def _which(one: str, many: str, message: CsmMessage, kind: str) -> str:
    """With the permissions of this kind of event; empty if there are none."""
    count = message.count(kind)
    if not count:
        return ""
    which = message.in_short(kind)
    return (one if count == 1 else many) + (f" ({which})" if which else "")


def _size(count: int, coverage: Coverage) -> str:
    if coverage.needed > count:
        return f"{count} of the {counted(coverage.needed, 'permission')} it needs"
    return "a permission it needs" if count == 1 else f"{count} permissions it needs"
