"""The sentences of the operator's digest: made once, so that text and page say the same.

Plain text: the page's template escapes it.
"""

from dataclasses import dataclass

from monitor.notices.content.credential_news import CredentialNews, Listing, StateChange
from monitor.notices.content.messages import DigestMessage, DigestShare, TenantNews
from monitor.notices.content.vendor import Vendor
from monitor.notices.wording import counted, listed

_NAMED = 3
_YOUR_MOVE = "Asking the customer is your move."


@dataclass(frozen=True, slots=True)
class OperatorSentences:
    vendor: Vendor

    def subject(self, message: DigestMessage) -> str:
        """Whether the operator has to act, then whom it concerns."""
        share = message.action if message.action.total else message.quiet
        begins = "Action" if message.action.total else "No action"
        if share.total == 1:
            (news,) = (*share.tenants, *share.brief)
            return f"{begins}: {news.name}: {news.summary}"
        return f"{begins}: {_counted_names(share)}"

    def opening(self, message: DigestMessage) -> str:
        action, quiet = message.action.total, message.quiet.total
        if action + quiet == 1:
            (news,) = (*message.action.tenants, *message.action.brief, *message.quiet.tenants)
            first = f"{'Your move' if action else 'Nothing to do'}: {news.name}, {news.summary}."
        elif action:
            first = f"{counted(action, 'tenant')} {'needs' if action == 1 else 'need'} you" + (
                f"; the news of {counted(quiet, 'tenant')} needs nobody." if quiet else "."
            )
        else:
            first = f"Nothing to do: the news of {counted(quiet, 'tenant')} below needs nobody."
        return first

    def readers(self, message: DigestMessage) -> str:
        """Who knows of it; empty where CSMs get an email of their own about the same."""
        if message.retired:
            return ""
        told = " What they were told just now is below." if message.told else ""
        return f"For you only; CSMs were not notified of this.{told}"

    def change(self, news: CredentialNews, change: StateChange, words: str) -> str:
        """`words` say what the state means."""
        detail = f": {change.detail}" if change.detail else ""
        when = f" {change.window}" if change.window else ""
        if change.kind == "recovered":
            lasted = f", after {change.lasted}" if change.lasted else ""
            return f"“{news.label}” works again{lasted}; it started to{when}. It was {change.state}{detail}."
        if change.kind == "found":
            return (
                f"“{news.label}” has never worked here ({change.state}{detail}; first seen at {change.window}). "
                "Perhaps the stored secret is not the one that the customer sent, or it was withdrawn before the "
                "first check. Compare it with what the customer sent, and correct what its reference holds."
            )
        return f"“{news.label}” stopped working{when} ({change.state}{detail}). {words}"

    def listing(self, news: CredentialNews, kind: str, listing: Listing, tenant: TenantNews) -> str:
        """What the permissions of one kind mean, and whose move it is."""
        name = tenant.name
        match kind:
            case "found":
                return self._found(news, listing, name)
            case "newly_required":
                return self._newly_required(news, listing, name)
            case "lost":
                return self._lost(news, listing, name)
            case "regained":
                return _regained(news, listing)
            case "excess_found":
                return self._excess_found(news, listing, name)
        return f"“{news.label}” lost {listing.window} what {self.vendor.called} does not need. Nothing fails."

    def heading(self, kind: str, listing: Listing) -> str:
        return f"{_HEADINGS[kind]} ({listing.count})"

    def _found(self, news: CredentialNews, listing: Listing, name: str) -> str:
        size = f"{listing.count} of the {news.coverage.needed} permissions it needs" if news.coverage.needed else ""
        return (
            f"{self._cannot(listing, name)} {size or counted(listing.count, 'permission')} "
            f"{'has' if listing.count == 1 else 'have'} been missing from “{news.label}” since its first check, at "
            f"{listing.window}. {_YOUR_MOVE}"
        )

    def _newly_required(self, news: CredentialNews, listing: Listing, name: str) -> str:
        return (
            f"The manifest now asks for {counted(listing.count, 'permission')} that “{news.label}” does not have, seen "
            f"at {listing.window}. Nobody took {'it' if listing.count == 1 else 'them'} away. "
            f"{self._cannot(listing, name)} {_YOUR_MOVE}"
        )

    def _lost(self, news: CredentialNews, listing: Listing, name: str) -> str:
        went = f"{_they(listing, 'went', 'went')} missing on “{news.label}” {listing.window}."
        return f"{self._cannot(listing, name, 'can no longer')} {went}"

    def _excess_found(self, news: CredentialNews, listing: Listing, name: str) -> str:
        more = (
            f"“{news.label}” may do more in {name}'s Greenhouse account than {self.vendor.called} needs, first seen at "
            f"{listing.window}. Nothing fails, and nobody has to act."
        )
        if not listing.sensitive:
            return more
        which = "it opens" if listing.count == 1 else f"{listing.sensitive} of them open"
        these = "it" if listing.sensitive == 1 else "them"
        return (
            f"{more} Optional: {which} sensitive data that {self.vendor.called} does not need; you may ask the "
            f"customer to untick {these}."
        )

    def _cannot(self, listing: Listing, name: str, cannot: str = "cannot") -> str:
        if not listing.effects:
            return f"The connection to {name}'s Greenhouse account acts for a user who is not a Site Admin."
        return f"{self.vendor.begins} {cannot} {listed(listing.effects, 'or')} in {name}'s Greenhouse account."

    def not_accepted(self, tenant: TenantNews) -> str:
        """Why nobody may send the customer a list yet; empty where that is not so."""
        if all(news.may_forward for news in tenant.credentials):
            return ""
        return (
            "These scopes are derived and nobody has accepted them, so there is nothing to send yet: compare them "
            '(harvest-monitor manifest show --v3), then harvest-monitor manifest accept-v3 --reason "..."'
        )


_HEADINGS = {
    "found": "Missing since the first check",
    "lost": "Missing",
    "newly_required": "Newly required, and not granted",
    "regained": "No longer missing",
    "excess_found": "Extra permissions",
    "excess_gone": "Extra permissions that are gone",
}


def _they(listing: Listing, one: str, many: str) -> str:
    return f"1 permission {one}" if listing.count == 1 else f"{listing.count} permissions {many}"


def _regained(news: CredentialNews, listing: Listing) -> str:
    lasted = f", after {listing.lasted}" if listing.lasted else ""
    return f"{_they(listing, 'was', 'were')} granted on “{news.label}” {listing.window}{lasted}. Nothing to do."


def _counted_names(share: DigestShare) -> str:
    names = ", ".join(share.names[:_NAMED])
    return f"{counted(share.total, 'tenant')}: {names}{', …' if share.total > _NAMED else ''}"
