"""The sandbox itself: accounts, keys and clients of an imitated Greenhouse, its switches, its answer to a request."""

import re
import time
from collections.abc import Callable, Iterable
from itertools import count
from secrets import token_hex
from typing import Any, NamedTuple

from pydantic import ValidationError

from monitor.errors import ConfigurationError
from monitor.sandbox.faults.http import Fault, FaultKind, HttpFaults
from monitor.sandbox.greenhouse import auth_server, v1, v3
from monitor.sandbox.greenhouse.accounts import Account, ClientGrant
from monitor.sandbox.greenhouse.admission import Caller, Decision
from monitor.sandbox.greenhouse.auth_server import INTROSPECT_PATH, TOKEN_PATH, Applicant
from monitor.sandbox.greenhouse.clients import Client, Tokens
from monitor.sandbox.greenhouse.credentials import CredentialDirectory, CredentialT
from monitor.sandbox.greenhouse.keys import Key
from monitor.sandbox.greenhouse.rate_limit import TOKEN_SECONDS, V3_SECONDS, StrangerWindows
from monitor.sandbox.greenhouse.request import (
    Authorization,
    SandboxRequest,
    presented_client,
    presented_key,
    presented_token,
)
from monitor.sandbox.greenhouse.request_log import AnswerReason, LoggedChange, LoggedRequest, RequestLog
from monitor.sandbox.greenhouse.responses import Reply
from monitor.sandbox.greenhouse.settings import SandboxSettings, summary
from monitor.sandbox.greenhouse.v3 import Bearer
from monitor.sandbox.mail.mailbox import Mailbox

KEY_LABEL = "Harvest API Key"
CLIENT_LABEL = "Gem"

AnyCaller = Caller | Applicant | Bearer


class SandboxAnswer(NamedTuple):
    """What goes out, and what a fault does to it on the way."""

    reply: Reply
    fault: Fault | None


class Sandbox:
    """An imitated Greenhouse. Every switch takes effect with the next request; no write is ever carried out.

    `clock` gives epoch seconds; `marker` is in all made-up personal data; the request log keeps the last
    `request_log_size` requests and counts the rest.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, marker: str = "", request_log_size: int = 20_000
    ) -> None:
        self.accounts: dict[str, Account] = {}
        self.keys = CredentialDirectory(Key)
        self.clients = CredentialDirectory(Client)
        self.strangers = SandboxSettings()
        # One count for both sides: a number names one fault, of Greenhouse or of mail.
        numbers = count(1)
        self.faults = HttpFaults(clock, numbers)
        self.mailbox = Mailbox(clock, numbers)
        self.request_log = RequestLog(request_log_size)
        self._clock = clock
        self._marker = marker
        self._tokens = Tokens(clock)
        self._stranger_windows = StrangerWindows()

    def add_account(self, name: str, **settings: Any) -> Account:
        """A new customer without keys, with the settings for all accounts and these. Raises ConfigurationError."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise ConfigurationError(f"{name!r} cannot name an account: use letters, digits, dot, dash, underscore")
        if name in self.accounts:
            raise ConfigurationError(f"there is already an account {name}")
        own_settings = _changed(self.strangers, settings, f"account {name}")
        account = self.accounts[name] = Account(name, len(self.accounts) + 1, own_settings, self._marker)
        return account

    def add_key(
        self, account: str, grants: str | Iterable[str] = "all", *, label: str = KEY_LABEL, text: str | None = None
    ) -> Key:
        """A new key of an account; its text is generated if not given. `grants` as in `tick_only`."""
        owner = self.account(account)
        self.keys.require_unused(owner, label)
        key = Key(
            account=owner,
            label=label,
            ticked=Key.expand(grants),
            text=owner.new_key_text() if text is None else text,
        )
        self.keys.add(key)
        return key

    def add_client(
        self,
        account: str,
        scopes: str | Iterable[str] = "gem",
        *,
        label: str = CLIENT_LABEL,
        client_id: str | None = None,
        secret: str | None = None,
        grant: ClientGrant = "custom",
        role: str | None = None,
        sub: str | None = None,
        ttl: int = 3600,
        mint_revokes: bool = False,
    ) -> Client:
        """A new v3 client of an account; its id and secret are generated if not given. `scopes` as in `tick_only`."""
        owner = self.account(account)
        self.clients.require_unused(owner, label)
        client = Client(
            account=owner,
            label=label,
            ticked=Client.expand(scopes),
            client_id=owner.new_client_id() if client_id is None else client_id,
            secret=owner.new_secret() if secret is None else secret,
            service_user=owner.new_service_user(),
            tokens=self._tokens,
            grant=grant,
            role=role,
            sub=sub,
            ttl=ttl,
            mint_revokes=mint_revokes,
        )
        self.clients.add(client)
        return client

    def account(self, name: str) -> Account:
        if name not in self.accounts:
            known = ", ".join(sorted(self.accounts)[:20]) or "none"
            raise ConfigurationError(f"there is no account {name!r} in the sandbox; there are: {known}")
        return self.accounts[name]

    def key(self, account: str, label: str | None = None) -> Key:
        return self.keys.one(self.account(account), label)

    def client(self, account: str, label: str | None = None) -> Client:
        return self.clients.one(self.account(account), label)

    def select(
        self, directory: CredentialDirectory[CredentialT], account: str | None, label: str | None = None
    ) -> list[CredentialT]:
        """The key or client of one account; with None, that of each account that has any. Raises ConfigurationError."""
        if account is not None:
            return [directory.one(self.account(account), label)]
        return [directory.one(each, label) for each in self.accounts.values() if directory.of(each)]

    def rotate(self, account: str, label: str | None = None) -> Key:
        """Give a key a new text; the old one is unknown from now on."""
        key = self.key(account, label)
        text = key.account.new_key_text()
        # First the directory, which finds the key by its old text.
        self.keys.change_identity(key, text)
        key.text = text
        return key

    def change(self, account: str | None, **settings: Any) -> None:
        """Change settings of one account; with None, of all accounts, present and future, and of strangers."""
        if account is not None:
            one = self.account(account)
            one.settings = _changed(one.settings, settings, f"account {account}")
            return
        self.strangers = _changed(self.strangers, settings, "all accounts")
        for each in self.accounts.values():
            each.settings = _changed(each.settings, settings, f"account {each.name}")

    def add_fault(self, fault: Fault) -> None:
        """Activate a fault. Raises ConfigurationError if it is for an unknown account."""
        if fault.account is not None:
            self.account(fault.account)
        self.faults.add(fault)

    def reset(self) -> None:
        """Empty the request log, delete all mails and end all faults; accounts, keys and settings stay as they are."""
        self.request_log.clear()
        self.faults.clear()
        self.mailbox.reset()

    def handle(self, request: SandboxRequest) -> SandboxAnswer:
        """The answer to one request, which is logged together with the change it would have made."""
        now = self._clock()
        caller = self._caller(request)
        fault = self.faults.take(caller.account, request.method, request.path)
        if fault is not None and fault.replaces_answer:
            decision = Decision(fault.reply(now), AnswerReason.FAULT)
        else:
            decision = self._decide(request, caller, now)
        reply = decision.reply
        if fault is not None and fault.kind is FaultKind.SET_COOKIE:
            reply = reply.adding((b"Set-Cookie", fault.cookie.encode("ascii")))
        number = self.request_log.next_number  # in the header, so that an answer leads to its entry
        self._log(request, caller, decision, fault, now)
        # Never the same twice, as at Greenhouse, although a reset begins to count again.
        request_id = f"sandbox-{number}-{token_hex(4)}".encode("ascii")
        return SandboxAnswer(reply.adding((b"X-Request-Id", request_id)), fault)

    def _caller(self, request: SandboxRequest) -> AnyCaller:
        path = request.path
        if v3.is_v3(path):
            return self._bearer(request)
        return self._applicant(request) if path in (TOKEN_PATH, INTROSPECT_PATH) else self._key_holder(request)

    def _key_holder(self, request: SandboxRequest) -> Caller:
        authorization, text = presented_key(request)
        key = self.keys.find(text) if authorization is Authorization.BASIC else None
        if key is None:
            return Caller(authorization, None, self.strangers, self._stranger_windows.of(text))
        return Caller(authorization, key, key.account.settings, key.account.window)

    def _bearer(self, request: SandboxRequest) -> Bearer:
        authorization, text = presented_token(request)
        token = self._tokens.find(text)
        if token is None:
            return Bearer(authorization, None, self.strangers, self._stranger_windows.of(text, V3_SECONDS))
        client = token.client
        return Bearer(authorization, token, client.account.settings, client.account.v3_windows[client.grant])

    def _applicant(self, request: SandboxRequest) -> Applicant:
        authorization, client_id, secret = presented_client(request)
        client = self.clients.find(client_id)
        if client is None:
            window = self._stranger_windows.of(client_id, TOKEN_SECONDS)
            return Applicant(authorization, client_id, None, False, self.strangers, window)
        fits = client.accepts(secret)
        return Applicant(authorization, client_id, client, fits, client.account.settings, client.token_window)

    def _decide(self, request: SandboxRequest, caller: AnyCaller, now: float) -> Decision:
        match caller:
            case Bearer():
                return v3.decide(request, caller, now)
            case Applicant():
                return auth_server.decide(request, caller, self._tokens, now)
            case Caller():
                return v1.decide(request, caller, now)

    def _log(
        self,
        request: SandboxRequest,
        caller: AnyCaller,
        decision: Decision,
        fault: Fault | None,
        now: float,
    ) -> None:
        """A query to the auth server can hold a token or a secret, so it is not logged."""
        headers, number, account = request.headers, self.request_log.next_number, caller.account
        change = None
        if decision.change is not None and account is not None:
            change = LoggedChange(number, now, account, request.method, request.target, decision.change)
        entry = LoggedRequest(
            number=number,
            at=now,
            account=account,
            key=caller.label,
            method=request.method,
            target=request.path if isinstance(caller, Applicant) else request.target,
            host=headers.get("host", ""),
            user_agent=headers.get("user-agent", ""),
            authorization=caller.authorization.value,
            on_behalf_of="on-behalf-of" in headers,
            cookie="cookie" in headers,
            body_length=len(request.body),
            status=None if fault is not None and fault.hides_status else decision.reply.status,
            reason=decision.reason,
            fault=fault.kind.value if fault is not None else None,
            set_cookie=fault is not None and fault.kind is FaultKind.SET_COOKIE,
        )
        self.request_log.write(entry, change)


def _changed(settings: SandboxSettings, changes: dict[str, Any], whose: str) -> SandboxSettings:
    try:
        return settings.changed(**changes)
    except ValidationError as problem:
        raise ConfigurationError(f"settings of {whose}: {summary(problem)}") from None
