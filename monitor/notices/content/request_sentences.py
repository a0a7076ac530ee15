"""The sentences of what a CSM, or the operator, forwards to a customer: made once, so that text and page say the same.

Plain text: the page's template escapes it.
"""

from dataclasses import dataclass

from monitor.notices.content.credential_news import CredentialNews, Listing, StateChange
from monitor.notices.content.retired_message import Boxes, ScopeRequest
from monitor.notices.content.vendor import Vendor
from monitor.notices.wording import listed

_RIGHT = "“Can manage ALL organization's API Credentials” (under Developer permissions)"
_COULD = f"Could someone with {_RIGHT} please"
END_ANNOUNCED = (
    "Greenhouse announced the end of credentials of this kind (Harvest API v1 and v2) for after 31 August 2026; on "
    "which day each one stops is up to Greenhouse."
)


@dataclass(frozen=True, slots=True)
class RequestSentences:
    vendor: Vendor

    def failed(self, news: CredentialNews, change: StateChange, tenant: str) -> str:
        """What the customer's admin is asked to look at, and who can do it."""
        lost = f"{self.vendor.begins} has lost access to {_account(tenant)}: Greenhouse no longer accepts"
        if news.grant == "partner":
            return f"{lost} the connection “{news.label}”. {self._reconnect}?"
        if change.detail == "no_scopes":
            nothing = f"{self.vendor.begins} gets nothing from {_account(tenant)} any more"
            return f"{nothing}: the API credential “{news.label}” has no scopes left. {_COULD} tick them again?"
        ended = f" A possible reason: {END_ANNOUNCED}" if news.kind == "harvest-key" else ""
        return f"{lost} the API credential “{news.label}”.{ended} {_COULD} check?"

    @property
    def _reconnect(self) -> str:
        return f"Could a Site Admin please connect {self.vendor.called} again"

    def missing(self, news: CredentialNews, asked: Listing, tenant: str) -> str:
        """Lost is what was granted before; all else only lacks."""
        count = asked.scope_count if news.grant else asked.count
        effects, what = listed(asked.effects, "or"), "scope" if news.grant else "permission"
        cannot, has = ("can no longer", "no longer has") if news.only_lost else ("cannot", "does not have")
        fact = (
            f"{self.vendor.begins} {cannot} {effects} in {_account(tenant)}: the API credential “{news.label}” {has} "
            f"{f'a {what}' if count == 1 else f'{count} {what}s'} that {self.vendor.called} needs."
        )
        if news.grant == "partner":
            return f"{fact} {self._reconnect}? That restores:"
        return f"{fact} {_COULD} {'restore' if news.only_lost else 'tick'} {'it' if count == 1 else 'them'}?"

    def role(self, news: CredentialNews, tenant: str) -> str:
        return (
            f"The connection “{news.label}” to {_account(tenant)} acts for a user who is not a Site Admin, so "
            f"{self.vendor.called} does not get what it needs. Could a Site Admin please fix this?"
        )

    def unwanted(self, news: CredentialNews, unwanted: Listing, tenant: str) -> str:
        opens = "may open" if unwanted.likely else "opens"
        return (
            f"The API credential “{news.label}” in {_account(tenant)} {opens} sensitive data that "
            f"{self.vendor.called} does not need. {_COULD} untick {'it' if unwanted.count == 1 else 'these'}?"
        )

    def on_purpose(self, count: int, was_lost: bool) -> str:
        these = "it" if count == 1 else "any of these"
        return f"If you {f'removed {these}' if was_lost else f'left {these} out'} on purpose, just reply."

    def successor(self, request: ScopeRequest) -> str:
        """In the place of a key that Greenhouse retired."""
        old = f"“{request.old_label}”" if request.old_label else f"that {self.vendor.called} used"
        return (
            f"{self.vendor.begins} has lost access to your Greenhouse account: Greenhouse no longer accepts the API "
            f"credential {old}. {END_ANNOUNCED} {_COULD} create a new one?"
        )

    @property
    def new_name(self) -> str:
        return f"“{self.vendor.name} Harvest V3”" if self.vendor.name else "one that says whose integration it is for"

    def tick(self, count: int, replaces_key: bool) -> str:
        """On a new credential; the old key had more boxes, one for each request."""
        if count == 1:
            return "Tick this box and save."
        fewer = " One box can cover several of the old permissions." if replaces_key else ""
        return f"Tick these {count} boxes and save.{fewer}"

    def writing(self, asked: Boxes) -> str:
        """Which of the boxes do more than let the vendor read, with what those mean that may alarm who reads them."""
        reads = asked.count - len(asked.writing)
        if not asked.writing:
            return f"{'It lets' if reads == 1 else 'They only let'} {self.vendor.called} read."
        plain = {
            title: f" (in plain words: {effect})"
            for title, effect in asked.drastic
            if effect.casefold() != title.casefold()
        }
        named = listed([f"“{title}”{plain.get(title, '')}" for title in asked.writing])
        count = len(asked.writing)
        first = f"{reads} of them let {self.vendor.called} read. " if reads > 1 else ""
        return f"{first}{f'These {count} let' if count > 1 else 'This one lets'} it change something: {named}."

    def hand_over(self, old: str) -> str:
        """How a new secret reaches the vendor; `old` is what the customer handed over before."""
        if not self.vendor.handover:
            return (
                f"Hand over the client ID and the secret in the same safe way as {old}; if you have none, just reply. "
                f"{self.no_secrets}"
            )
        way = self.vendor.handover
        if self.vendor.handover_is_address:
            way = f"Hand over the client ID and the secret here: {self.vendor.handover}"
        return f"{way} If you have no login there, just reply, and we agree on another way. {self.no_secrets}"

    @property
    def store_secret(self) -> str:
        return "Greenhouse shows its secret only once: store it at once."

    @property
    def no_secrets(self) -> str:
        return "Please never send a key or a secret by e-mail."

    @property
    def questions(self) -> str:
        return f"Questions? {self.vendor.contact}" if self.vendor.contact else ""

    def signed(self, who: str) -> str:
        return self.vendor.signed(who)


def _account(tenant: str) -> str:
    return f"your Greenhouse account ({tenant})"
