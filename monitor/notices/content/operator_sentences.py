"""The sentences of the operator's digest: made once, so that text and page say the same.

Plain text: the page's template escapes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.notices.content.credential_news import CredentialNews, Listing, StateChange
from monitor.notices.content.messages import AlikeTenants, Burst, DigestMessage, DigestShare, TenantNews
from monitor.notices.content.vendor import Vendor
from monitor.notices.wording import counted, listed

_NAMED = 3
_YOUR_MOVE = "Asking the customer is your move."
_SETTING_UP = (
    "Harvest Monitor never saw it work; CSMs are told only of what has worked before. Please send the part below."
)


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
        if message.locked_out:
            first = self._locked_out(message)
        elif action + quiet == 1:
            (news,) = (*message.action.tenants, *message.action.brief, *message.quiet.tenants)
            first = f"{'Your move' if action else 'Nothing to do'}: {news.name}, {news.summary}."
        elif action:
            first = f"{counted(action, 'tenant')} {'needs' if action == 1 else 'need'} you" + (
                f"; the news of {counted(quiet, 'tenant')} needs nobody." if quiet else "."
            )
        else:
            first = f"Nothing to do: the news of {counted(quiet, 'tenant')} below needs nobody."
        return first

    def _locked_out(self, message: DigestMessage) -> str:
        one = message.locked_out == 1
        accept = " Your move: accept the list of Harvest v3 permissions." if message.accept_first else ""
        return (
            f"{counted(message.locked_out, 'tenant')} {'is' if one else 'are'} newly locked out: Greenhouse no longer "
            f"accepts {'its' if one else 'their'} keys of Harvest v1.{accept}"
        )

    def csms_of_retired(self, message: DigestMessage) -> str:
        """What CSMs are told of retired keys, and whether they have something to send."""
        when = "one and a half check intervals after the first of their keys was found retired"
        if not message.accept_first:
            return f"Each CSM gets one email about all of their customers, {when}. It has the part to send to them."
        return (
            f"Each CSM gets one email about all of their customers, {when}. If you accept before, it has the part to "
            "send to them; if not, it says that this is still to come, and another follows once you accept."
        )

    def alike(self, line: AlikeTenants) -> str:
        """One tenant in short, or many of which the same is said."""
        return f"{_named([(one.id, one.name) for one in line.first], line.count)}: {line.summary}"

    def told(self, burst: Burst) -> str:
        """Of those who changed alike, how many CSMs know of it already."""
        if not burst.told:
            return "No email about it has left"
        return f"For {burst.told} of them an email had left before, or was on its way"

    def tenants(self, burst: Burst) -> str:
        return _named(burst.examples, burst.tenants)

    def answers(self, tenant: TenantNews) -> str:
        """What to do with the customer's answer to what is asked, and what follows."""
        if not tenant.request or not any(news.asked for news in tenant.request.credentials):
            return ""
        csm = f"{tenant.name}'s CSM is {tenant.csm}. " if tenant.csm else ""
        return (
            f"{csm}If {tenant.name} replies that it is on purpose, enter the permission under declined in the tenants "
            "file: nobody is asked for it again. You get another email about what is granted."
        )

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
                return self._found(news, listing, tenant)
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

    def _found(self, news: CredentialNews, listing: Listing, tenant: TenantNews) -> str:
        size = f"{listing.count} of the {news.coverage.needed} permissions it needs" if news.coverage.needed else ""
        return (
            f"{self._cannot(listing, tenant.name)} {size or counted(listing.count, 'permission')} "
            f"{'has' if listing.count == 1 else 'have'} been missing from “{news.label}” since its first check, at "
            f"{listing.window}. {_SETTING_UP if tenant.request else _YOUR_MOVE}"
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
            f"{listing.window}. Nothing fails"
        )
        if not news.unwanted:
            return f"{more}, and nobody has to act."
        them, they_are = ("it", "it is") if listing.sensitive == 1 else ("them", "they are")
        return (
            f"{more}, but {_which_open(listing)} sensitive data that {self.vendor.called} does not need. Decide: ask "
            f"the customer to untick {them}, or leave {them} as {they_are}."
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


def _named(tenants: Sequence[tuple[str, str]], count: int) -> str:
    """By id and name, as many as are given of so many."""
    more = count - len(tenants)
    return ", ".join(f"{name} ({id_})" for id_, name in tenants) + (f" and {more:,} more" if more > 0 else "")


def _which_open(listing: Listing) -> str:
    """`likely` is no more than that."""
    which = f"{listing.sensitive} of them"
    if listing.count == listing.sensitive:
        which = {1: "it", 2: "both"}.get(listing.count, "all of them")
    if listing.likely:
        return f"{which} may open"
    return f"{which} {'opens' if listing.sensitive == 1 else 'open'}"


def _they(listing: Listing, one: str, many: str) -> str:
    return f"1 permission {one}" if listing.count == 1 else f"{listing.count} permissions {many}"


def _regained(news: CredentialNews, listing: Listing) -> str:
    lasted = f", after {listing.lasted}" if listing.lasted else ""
    return f"{_they(listing, 'was', 'were')} granted on “{news.label}” {listing.window}{lasted}. Nothing to do."


def _counted_names(share: DigestShare) -> str:
    names = ", ".join(share.names[:_NAMED])
    return f"{counted(share.total, 'tenant')}: {names}{', …' if share.total > _NAMED else ''}"
