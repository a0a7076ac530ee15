"""The sentences of emails to CSMs: made once, so that text and page say the same.

Plain text: the page's template escapes it.
"""

from dataclasses import dataclass

from monitor.notices.content.credential_news import Coverage, CredentialNews, Listing, StateChange
from monitor.notices.content.messages import CsmMessage
from monitor.notices.content.request_sentences import END_ANNOUNCED
from monitor.notices.content.retired_message import RetiredMessage
from monitor.notices.content.vendor import Vendor
from monitor.notices.wording import counted, listed

ACCEPT = 'harvest-monitor manifest accept-v3 --reason "..."'


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
            _which(
                "Greenhouse permission restored", f"{regained} Greenhouse permissions restored", message, "regained"
            ),
        ]
        return f"{message.tenant}: {', '.join(filter(None, facts))}"

    def _without_access(self, failed: int, message: CsmMessage) -> str:
        if not message.has_other_access:
            return f"{self.vendor.called} has lost access to Greenhouse"
        if failed == 1:
            return "a Greenhouse API credential no longer works"
        return f"{failed} Greenhouse API credentials no longer work"

    def _with_access(self, recovered: int) -> str:
        if recovered == 1:
            return f"{self.vendor.called} has access to Greenhouse again"
        return f"{recovered} Greenhouse API credentials work again"

    def failed(self, news: CredentialNews, change: StateChange, message: CsmMessage) -> tuple[str, str]:
        """What stopped, and what is known about when and why."""
        place = _account(message.tenant)
        if change.detail == "no_scopes":
            first = f"{self.vendor.begins} gets nothing from {place} any more: “{news.label}” has no scopes left."
            return first, f"It lost them {change.window}. Until they are restored, nothing that uses it works."
        if message.has_other_access:
            first = f"Nothing that uses the API credential “{news.label}” works in {place} any more."
            first += f" Another API credential of {message.tenant} still works."
        else:
            first = f"{self.vendor.begins} has lost access to {place}."
            first += f" Nothing that uses the API credential “{news.label}” works."
        why = "it was revoked, or its secret was changed."
        if news.kind == "harvest-key":
            why = f"it was disabled, revoked, or ended by Greenhouse; we cannot tell which from here. {END_ANNOUNCED}"
        return first, f"It stopped working {change.window}. Greenhouse does not accept it: {why}"

    def lost(self, news: CredentialNews, lost: Listing, tenant: str) -> tuple[str, str]:
        """What cannot be done and how much is missing; then when that began."""
        works = "" if news.change("credential_failed") else " still works, but"
        what = "this permission" if lost.count == 1 else "them"
        return (
            self._effect(news, lost, tenant),
            f"The API credential “{news.label}”{works} lost {what} {lost.window}.",
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
        return f"As far as Harvest Monitor can see, “{news.label}” now lacks nothing." if news.coverage.needed else ""

    def move(self, message: CsmMessage) -> str:
        """Whose move it is, and what comes next."""
        if not message.asks:
            return ""
        return (
            f"Your move: copy the framed part below into an email to {message.tenant}; the rest is for you. "
            f"{self._next_email(message)}"
        )

    def _next_email(self, message: CsmMessage) -> str:
        # A credential whose place another one takes is settled in silence: it never works again.
        if not any(_may_be_replaced(news) for news in message.credentials):
            return "You get another email when it is restored."
        return (
            "You get another email when it is restored, but not when a new API credential takes the place of the old "
            "one: Harvest Monitor's page of the customer shows that."
        )

    def replies(self, message: CsmMessage) -> str:
        """What to do with an answer, and whom to ask."""
        on_purpose = self._on_purpose(message)
        if on_purpose and self.vendor.contact:
            return f"{on_purpose} Questions go there, too."
        return f"{on_purpose}{self._contact}".strip()

    def nothing_to_do(self, message: CsmMessage) -> str:
        """Good news and nothing else; empty where that is not so."""
        return "" if message.asks or message.is_open else "Good news: there is nothing you need to do."

    def _on_purpose(self, message: CsmMessage) -> str:
        """What to do with the answer that the part to forward asks for."""
        if not message.count("lost"):
            return ""
        whom = self.vendor.contact or "the operator of Harvest Monitor"
        return f"If {message.tenant} replies that it was on purpose, tell {whom}, so that it is recorded as declined."

    @property
    def _contact(self) -> str:
        return f" Questions: {self.vendor.contact}" if self.vendor.contact else ""

    def no_list(self, message: CsmMessage) -> str:
        """Where the part to forward cannot say which boxes a new credential needs."""
        refused = [n for n in message.credentials if n.change("credential_failed") and n.grant != "partner"]
        if all(news.successor for news in refused):
            return ""
        return (
            "If they answer that it is gone, or was enabled all along, they need a new API credential. Which boxes to "
            f"tick on it is not approved yet: the operator of Harvest Monitor does that with {ACCEPT}"
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
        fact = "still has no" if message.again else "has lost"
        if message.count == 1:
            return f"{message.names[0]}: {self.vendor.called} {fact} access to Greenhouse (API credential ended)"
        # Nobody may read in a forwarded subject who the other customers are.
        return f"{message.count:,} customers: {self.vendor.called} {fact} access to Greenhouse (API credentials ended)"

    def retired(self, message: RetiredMessage) -> str:
        one = message.count == 1
        accounts = f"the Greenhouse accounts of {message.count:,} of your customers"
        place = _account(message.names[0]) if one else accounts
        return (
            f"{self.vendor.begins} has lost access to {place}: nothing works there until there is a new API credential."
        )

    def not_to_forward(self, message: RetiredMessage) -> str:
        """Empty where it names one customer only."""
        if message.count == 1:
            return ""
        return "Do not forward this email as a whole: it names several customers."

    def retired_why(self, message: RetiredMessage) -> str:
        one = message.count == 1
        return (
            f"{'The old one is' if one else 'The old ones are'} no longer accepted. {END_ANNOUNCED} "
            f"{'The customer has' if one else 'These customers have'} no other API credential that works."
        )

    def retired_move(self, message: RetiredMessage) -> str:
        if not message.requests:
            return "Your move: ask the operator of Harvest Monitor, as said below."
        if not any(request.approved for request in message.requests):
            return (
                "There is nothing to send to customers yet: which boxes to tick on a new API credential is derived "
                f"from the old one, and the operator of Harvest Monitor has to approve that first ({ACCEPT}). You get "
                "another email with the part to copy as soon as that is done."
            )
        one = message.count == 1
        waiting = " For some customers the list is not approved yet; for them another email follows."
        move = "copy the framed part below into an email to the customer; the rest is for you"
        if not one:
            move = "copy the framed part below into an email to each of them"
        # Of the end only the operator is notified, and the next email is due a month after this one.
        return (
            f"Your move: {move}. "
            "There is no email when a new one works: Harvest Monitor's page of the customer shows it. A reminder "
            f"comes in a month if {'it' if one else 'one of them'} still has none that works."
            f"{waiting if message.waits_for_approval else ''}{self._contact}"
        )


def _may_be_replaced(news: CredentialNews) -> bool:
    failed = news.change("credential_failed")
    return failed is not None and news.grant != "partner" and failed.detail != "no_scopes"


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
