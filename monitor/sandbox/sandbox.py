"""The sandbox itself: accounts, keys and clients of an imitated Greenhouse, its switches, its answer to a request."""

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, NamedTuple

from pydantic import ValidationError

from monitor.errors import ConfigurationError
from monitor.sandbox.clients import Client, Grant, Tokens
from monitor.sandbox.faults.http import Fault, FaultKind, HttpFaults
from monitor.sandbox.greenhouse import auth_server, v3
from monitor.sandbox.greenhouse.accounts import Account, Key, check_sendable
from monitor.sandbox.greenhouse.admission import Caller, Decision, admit, edge_refusal, limit_refusal
from monitor.sandbox.greenhouse.auth_server import INTROSPECT_PATH, TOKEN_PATH, Applicant
from monitor.sandbox.greenhouse.endpoints import granted
from monitor.sandbox.greenhouse.rate_limit import (
    TOKEN_SECONDS,
    V3_SECONDS,
    WINDOW_SECONDS,
    RateLimitWindow,
    served_headers,
)
from monitor.sandbox.greenhouse.request import (
    Authorization,
    SandboxRequest,
    presented_client,
    presented_key,
    presented_token,
)
from monitor.sandbox.greenhouse.request_log import AnswerReason, Change, LoggedRequest, RequestLog
from monitor.sandbox.greenhouse.responses import Reply
from monitor.sandbox.greenhouse.scopes import ticked
from monitor.sandbox.greenhouse.settings import SandboxSettings, in_words
from monitor.sandbox.greenhouse.v1 import handle
from monitor.sandbox.greenhouse.v3 import Bearer
from monitor.sandbox.mail.mailbox import Mailbox

_STRANGERS_KEPT = 1000
KEY_LABEL = "Harvest API Key"
CLIENT_LABEL = "Gem"


AnyCaller = Caller | Applicant | Bearer


class SandboxAnswer(NamedTuple):
    """What goes out, and what a fault does to it on the way."""

    reply: Reply
    fault: Fault | None


class Sandbox:
    """An imitated Greenhouse. Every switch holds from the next request on; nothing it is asked to do is ever done.

    `clock` gives epoch seconds; `marker` stands in all made-up personal data; the ledger holds the last `ledger_size`
    requests and counts the rest.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, marker: str = "", ledger_size: int = 20_000) -> None:
        self.accounts: dict[str, Account] = {}
        self.strangers = SandboxSettings()
        numbers = count(1)
        self.faults = HttpFaults(clock, numbers)
        self.post_office = Mailbox(clock, numbers)
        self.ledger = RequestLog(ledger_size)
        self._clock = clock
        self._marker = marker
        self._keys: dict[str, Key] = {}
        self._clients: dict[str, Client] = {}
        self._tokens = Tokens(clock)
        self._stranger_windows: OrderedDict[tuple[int, str], RateLimitWindow] = OrderedDict()

    def add_account(self, name: str, **settings: Any) -> Account:
        """A new customer, without keys, under the settings that all share and these. Raises ConfigurationError."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            raise ConfigurationError(f"{name!r} can not name an account: use letters, digits, dot, dash, underscore")
        if name in self.accounts:
            raise ConfigurationError(f"there is already an account {name}")
        theirs = _changed(self.strangers, settings, f"account {name}")
        account = self.accounts[name] = Account(name, len(self.accounts) + 1, theirs, self._marker)
        return account

    def add_key(
        self, account: str, grants: str | Iterable[str] = "all", *, label: str = KEY_LABEL, text: str | None = None
    ) -> Key:
        """A new key of an account; its text is made up if not given. `grants` as in `Key.grant_only`."""
        owner = self.account(account)
        if label in owner.keys:
            raise ConfigurationError(f"account {account} already has a key {label!r}: give it another label")
        key = Key(owner, label, owner.new_text() if text is None else text, granted(grants))
        self._index(key)
        owner.keys[label] = key
        return key

    def add_client(
        self,
        account: str,
        scopes: str | Iterable[str] = "gem",
        *,
        label: str = CLIENT_LABEL,
        client_id: str | None = None,
        secret: str | None = None,
        grant: Grant = "custom",
        role: str | None = None,
        sub: str | None = None,
        ttl: int = 3600,
        mint_revokes: bool = False,
    ) -> Client:
        """A new v3 client of an account; its id and secret are made up if not given. `scopes` as for `ticked`."""
        owner = self.account(account)
        if label in owner.clients:
            raise ConfigurationError(f"account {account} already has a client {label!r}: give it another label")
        names = ticked(scopes)
        client = Client(
            account=owner,
            label=label,
            client_id=owner.new_client_id() if client_id is None else client_id,
            secret=owner.new_secret() if secret is None else secret,
            scopes=names,
            service_user=owner.new_service_user(),
            tokens=self._tokens,
            grant=grant,
            role=role,
            sub=sub,
            ttl=ttl,
            mint_revokes=mint_revokes,
        )
        self._index_client(client)
        owner.clients[label] = client
        return client

    def client(self, account: str, label: str | None = None) -> Client:
        return self.account(account).client(label)

    def clients(self, account: str | None, label: str | None = None) -> list[Client]:
        """The client of one account, or, with None, of each that has any. Raises ConfigurationError if unclear."""
        if account is not None:
            return [self.client(account, label)]
        return [each.client(label) for each in self.accounts.values() if each.clients]

    def account(self, name: str) -> Account:
        if name not in self.accounts:
            known = ", ".join(sorted(self.accounts)[:20]) or "none"
            raise ConfigurationError(f"there is no account {name!r} in the sandbox; there are: {known}")
        return self.accounts[name]

    def key(self, account: str, label: str | None = None) -> Key:
        return self.account(account).key(label)

    def keys(self, account: str | None, label: str | None = None) -> list[Key]:
        """The key of one account, or, with None, of each that has any. Raises ConfigurationError if it is not clear."""
        if account is not None:
            return [self.key(account, label)]
        return [each.key(label) for each in self.accounts.values() if each.keys]

    def rotate(self, account: str, label: str | None = None) -> Key:
        """Give a key a new text; the old one is nobody's from now on."""
        key = self.key(account, label)
        old = key.text
        key.text = key.account.new_text()
        self._index(key)
        del self._keys[old]
        return key

    def change(self, account: str | None, **settings: Any) -> None:
        """Change settings of one account, or, with None, of all: strangers, those there are and those to come."""
        if account is not None:
            one = self.account(account)
            one.settings = _changed(one.settings, settings, f"account {account}")
            return
        self.strangers = _changed(self.strangers, settings, "all accounts")
        for each in self.accounts.values():
            each.settings = _changed(each.settings, settings, f"account {each.name}")

    def add_fault(self, fault: Fault) -> None:
        """Put a fault in force. Raises ConfigurationError if it is for an account that is not there."""
        if fault.account is not None:
            self.account(fault.account)
        self.faults.add(fault)

    def reset(self) -> None:
        """Empty the ledger, forget all mails and end all faults; accounts, keys and settings stay as they are."""
        self.ledger.clear()
        self.faults.clear()
        self.post_office.reset()

    def handle(self, request: SandboxRequest) -> SandboxAnswer:
        """The answer to one request, written into the ledger with whatever it would have changed."""
        now = self._clock()
        caller = self._caller(request)
        fault = self.faults.take(caller.account, request.method, request.path)
        if fault is not None and fault.stands_in:
            decision = Decision(fault.reply(now), AnswerReason.FAULT)
        else:
            decision = self._decide(request, caller, now)
        reply = decision.reply
        if fault is not None and fault.kind is FaultKind.SET_COOKIE:
            reply = reply.adding((b"Set-Cookie", fault.cookie.encode("ascii")))
        number = self.ledger.next_number
        self._record(request, caller, decision, fault, now)
        return SandboxAnswer(reply.adding((b"X-Request-Id", b"sandbox-%d" % number)), fault)

    def _caller(self, request: SandboxRequest) -> AnyCaller:
        path = request.path
        if v3.is_v3(path):
            return self._bearer(request)
        return self._applicant(request) if path in (TOKEN_PATH, INTROSPECT_PATH) else self._key_holder(request)

    def _key_holder(self, request: SandboxRequest) -> Caller:
        authorization, text = presented_key(request)
        key = self._keys.get(text) if authorization is Authorization.BASIC else None
        if key is None:
            return Caller(authorization, None, self.strangers, self._stranger_window(text))
        return Caller(authorization, key, key.account.settings, key.account.window)

    def _bearer(self, request: SandboxRequest) -> Bearer:
        authorization, text = presented_token(request)
        token = self._tokens.find(text)
        if token is None:
            return Bearer(authorization, None, self.strangers, self._stranger_window(text, V3_SECONDS))
        client = token.client
        return Bearer(authorization, token, client.account.settings, client.account.v3_windows[client.grant])

    def _applicant(self, request: SandboxRequest) -> Applicant:
        authorization, name, secret = presented_client(request)
        client = self._clients.get(name)
        if client is None:
            window = self._stranger_window(name, TOKEN_SECONDS)
            return Applicant(authorization, name, None, False, self.strangers, window)
        opens = client.opens_with(secret)
        return Applicant(authorization, name, client, opens, client.account.settings, client.token_window)

    def _stranger_window(self, text: str, seconds: int = WINDOW_SECONDS) -> RateLimitWindow:
        """Refused calls count against a limit too (headers recorded on a 401); one for each unknown key, by guess."""
        whose = (seconds, text)
        window = self._stranger_windows.get(whose)
        if window is None:
            window = self._stranger_windows[whose] = RateLimitWindow(seconds)
            if len(self._stranger_windows) > _STRANGERS_KEPT:
                self._stranger_windows.popitem(last=False)
        return window

    def _decide(self, request: SandboxRequest, caller: AnyCaller, now: float) -> Decision:
        match caller:
            case Bearer():
                return v3.decide(request, caller, now)
            case Applicant():
                return auth_server.decide(request, caller, self._tokens, now)
            case Caller():
                return _decide(request, caller, now)

    def _record(
        self,
        request: SandboxRequest,
        caller: AnyCaller,
        decision: Decision,
        fault: Fault | None,
        now: float,
    ) -> None:
        """What the auth server is asked can hold a token or a secret also in the query: of that no word is kept."""
        headers, number, account = request.headers, self.ledger.next_number, caller.account
        change = None
        if decision.change is not None and account is not None:
            change = Change(number, now, account, request.method, request.target, decision.change)
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
            status=None if fault is not None and fault.silent else decision.reply.status,
            reason=decision.reason,
            fault=fault.kind.value if fault is not None else None,
            set_cookie=fault is not None and fault.kind is FaultKind.SET_COOKIE,
        )
        self.ledger.write(entry, change)

    def _index(self, key: Key) -> None:
        if key.text in self._keys:
            raise ConfigurationError(f"the key of account {key.account.name} is already that of another account")
        self._keys[key.text] = key

    def _index_client(self, client: Client) -> None:
        whose = f"the client of account {client.account.name}"
        check_sendable(client.client_id, f"the id of {whose}")
        check_sendable(client.secret, f"the secret of {whose}")
        if client.client_id in self._clients:
            raise ConfigurationError(f"the id of {whose} is already that of another client")
        self._clients[client.client_id] = client


def _decide(request: SandboxRequest, caller: Caller, now: float) -> Decision:
    refusal = edge_refusal(request, caller.settings)
    if refusal is not None:
        return refusal
    take = caller.window.take(now, caller.settings)
    refusal = limit_refusal(take, now, caller.settings)
    if refusal is not None:
        return refusal
    admitted = admit(caller)
    decision = handle(request, admitted) if isinstance(admitted, Key) else admitted
    return decision._replace(reply=decision.reply.adding(*served_headers(take, caller.settings)))


def _changed(settings: SandboxSettings, changes: dict[str, Any], whose: str) -> SandboxSettings:
    try:
        return settings.changed(**changes)
    except ValidationError as problem:
        raise ConfigurationError(f"settings of {whose}: {in_words(problem)}") from None
