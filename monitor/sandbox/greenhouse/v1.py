"""Greenhouse's Harvest v1 and v2: admission, then four checks in an order that can be set, then the answer."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from monitor.sandbox.greenhouse.accounts import Account
from monitor.sandbox.greenhouse.admission import Caller, Decision, admit, edge_refusal, limit_refusal
from monitor.sandbox.greenhouse.endpoints import Endpoint, routes
from monitor.sandbox.greenhouse.keys import Key
from monitor.sandbox.greenhouse.rate_limit import served_headers
from monitor.sandbox.greenhouse.records import Record
from monitor.sandbox.greenhouse.request import SandboxRequest
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.responses import (
    ACCESS_DENIED,
    BAD_PAYLOAD,
    NO_ACCESS,
    NO_PERMISSION,
    NOT_FOUND,
    document,
    errors,
    message,
)
from monitor.sandbox.greenhouse.settings import CheckStep

_UNREADABLE: Final = object()
_UNREJECT = "POST /v1/applications/{id}/unreject"


@dataclass(slots=True)
class Call:
    """One request to one endpoint. `found` holds the records that its path names, as far as they were looked up."""

    request: SandboxRequest
    key: Key
    endpoint: Endpoint
    values: tuple[str, ...]
    found: list[Record] = field(default_factory=list)

    @property
    def account(self) -> Account:
        return self.key.account

    def named(self) -> Iterator[tuple[str, str, str]]:
        """Each placeholder of the path, with its collection and its value."""
        for (placeholder, collection), value in zip(self.endpoint.refers, self.values, strict=True):
            yield placeholder, collection, value


Check = Callable[[Call, Any], Decision | None]


def decide(request: SandboxRequest, caller: Caller, now: float) -> Decision:
    """The answer to one request, with the rate limit in its headers unless the network in front refuses it."""
    refusal = edge_refusal(request, caller.settings)
    if refusal is not None:
        return refusal
    # Before the key is known: a recorded 401 states the limit, so refused requests count, too.
    take = caller.window.take(now, caller.settings)
    refusal = limit_refusal(take, now, caller.settings)
    if refusal is not None:
        return refusal
    admitted = admit(caller)
    decision = _answer(request, admitted) if isinstance(admitted, Key) else admitted
    return decision._replace(reply=decision.reply.adding(*served_headers(take, caller.settings)))


def _answer(request: SandboxRequest, key: Key) -> Decision:
    """The answer to a live key. An unknown path gets 404 by assumption: no recording shows one."""
    route = routes().find(request.method, request.path)
    if route is None:
        return _not_found(key.account, AnswerReason.NO_ROUTE)
    call = Call(request, key, *route)
    content = _content(request) if call.endpoint.writes else None
    for step in call.account.settings.steps_for(call.endpoint):
        for check in _CHECKS[step]:
            refusal = check(call, content)
            if refusal is not None:
                return refusal
    return (_status(call) or _change(call)) if call.endpoint.writes else _read(call)


def _permission(call: Call, content: Any) -> Decision | None:
    if call.key.may(call.endpoint):
        return None
    settings = call.account.settings
    status, shape = settings.denial_status, settings.denial_shape
    reply = message(status, NO_PERMISSION) if shape == "message" else errors(status, {"message": NO_PERMISSION})
    return Decision(reply, AnswerReason.NO_PERMISSION)


def _on_behalf_of(call: Call, content: Any) -> Decision | None:
    """Absent: 404 (issue 214, 2018). An unknown user was seen to give 404 (2021) and 403 (2017)."""
    if not call.endpoint.writes:
        return None
    header, settings = call.request.headers.get("on-behalf-of"), call.account.settings
    if not header:
        return _not_found(call.account, AnswerReason.NO_ON_BEHALF_OF) if _needs_user(call) else None
    user = call.account.records.find("id", "users", header.strip())
    if user is None and settings.unknown_user == 403:
        return Decision(message(403, NO_ACCESS), AnswerReason.UNKNOWN_USER)
    if user is None:
        return _not_found(call.account, AnswerReason.UNKNOWN_USER)
    if not call.account.records.may_act(user):
        return Decision(errors(403, {"message": ACCESS_DENIED}), AnswerReason.USER_MAY_NOT)
    return None


def _needs_user(call: Call) -> bool:
    match call.account.settings.on_behalf_of_for(call.endpoint):
        case "every_write":
            return True
        case "documented":
            return call.endpoint.on_behalf_of == "table"
        case "off":
            return False


def _records(call: Call, content: Any) -> Decision | None:
    records = call.account.records
    for placeholder, collection, value in call.named():
        record = records.find(placeholder, collection, value)
        if record is None:
            # `found` stays short then, by which `_read` knows that it must answer an empty list.
            return None if _may_be_parentless(call) else _not_found(call.account, AnswerReason.NO_RECORD)
        if records.is_private(collection, record):
            return Decision(message(403, NO_ACCESS), AnswerReason.PRIVATE_RECORD)
        call.found.append(record)
    return None


def _may_be_parentless(call: Call) -> bool:
    nested_list = call.endpoint.request_class == "nested" and not call.endpoint.gives_object
    return nested_list and call.account.settings.without_parent_for(call.endpoint) == "empty_list"


def _payload(call: Call, content: Any) -> Decision | None:
    if not call.endpoint.writes:
        return None
    if isinstance(content, dict) and all(_is_filled_object(content, name) for name in call.endpoint.objects):
        return None
    return Decision(message(400, BAD_PAYLOAD), AnswerReason.BAD_PAYLOAD)


def _is_filled_object(content: dict[str, Any], name: str) -> bool:
    """False for a parameter that must be a filled object and is not; an absent one is left to the check of fields."""
    return name not in content or (isinstance(content[name], dict) and bool(content[name]))


def _fields(call: Call, content: Any) -> Decision | None:
    problems = list(_problems(call, content)) if call.endpoint.writes else []
    return _invalid(call.account, problems) if problems else None


def _problems(call: Call, content: dict[str, Any]) -> Iterator[dict[str, str]]:
    endpoint, query = call.endpoint, call.request.query
    not_needed = call.account.settings.not_needed.get(endpoint.name, ())
    if not (endpoint.instead and str(content.get(endpoint.instead)).lower() == "true"):
        for name in endpoint.needs:
            if name not in not_needed and (name not in content or content[name] in (None, "", [])):
                yield {"message": f"Missing required field: {name}", "field": name}
    for name in endpoint.query_needs:
        if name not in not_needed and not query.get(name):
            yield {"message": f"Missing required field: {name}", "field": name}
    if any(str(job) not in map(str, call.account.records.ids("jobs")) for job in _job_ids(content)):
        yield {"message": "A job with this id does not exist.", "field": "job_id"}


def _job_ids(content: dict[str, Any]) -> Iterator[Any]:
    applications = content.get("applications")
    for holder in [content, *(applications if isinstance(applications, list) else [])]:
        if isinstance(holder, dict) and holder.get("job_id") is not None:
            yield holder["job_id"]


# `_fields` needs the object that `_payload` has checked.
_CHECKS: Final[Mapping[CheckStep, tuple[Check, ...]]] = {
    CheckStep.PERMISSION: (_permission,),
    CheckStep.ON_BEHALF_OF: (_on_behalf_of,),
    CheckStep.RECORD: (_records,),
    CheckStep.FIELDS: (_payload, _fields),
}


def _status(call: Call) -> Decision | None:
    """What only the record can tell, so that it comes last in every order."""
    if call.endpoint.name != _UNREJECT or call.found[0]["status"] == "rejected":
        return None
    problem = {"message": f"Application must be 'rejected', is currently '{call.found[0]['status']}'"}
    return _invalid(call.account, [problem])


def _invalid(account: Account, problems: list[dict[str, str]]) -> Decision:
    if account.settings.validation_shape == "documented":
        return Decision(document(422, {"message": "Validation error", "errors": problems}), AnswerReason.INVALID)
    return Decision(errors(422, *problems), AnswerReason.INVALID)


def _read(call: Call) -> Decision:
    endpoint, records = call.endpoint, call.account.records
    if len(call.found) < len(endpoint.refers):
        return Decision(document(200, []), AnswerReason.SERVED)
    if endpoint.path.endswith("/current_offer") and call.found[0]["status"] == "rejected":
        return _not_found(call.account, AnswerReason.NO_RECORD)
    if endpoint.gives_object:
        return Decision(document(200, records.single(endpoint, call.found)), AnswerReason.SERVED)
    return Decision(document(200, records.page(endpoint, call.request.query)), AnswerReason.SERVED)


def _change(call: Call) -> Decision:
    """The answer to a write that would have acted. Its body is assumed: an id, as in every documented sample."""
    values = {placeholder: value for placeholder, _, value in call.named()}
    change = "would have " + call.endpoint.does.format(**values)
    identity = call.found[-1]["id"] if call.found else call.account.records.ids("candidates")[0]
    return Decision(
        document(201 if call.endpoint.method == "POST" else 200, {"id": identity}), AnswerReason.CHANGED, change
    )


def _not_found(account: Account, reason: AnswerReason) -> Decision:
    """The recorded shape, or the one a user quoted in 2019 (issue 393 of the documentation)."""
    if account.settings.not_found_shape == "errors":
        return Decision(errors(404, {"message": "Not found"}), reason)
    return Decision(message(404, NOT_FOUND), reason)


def _content(request: SandboxRequest) -> Any:
    """The parsed body of a write. No body counts as an empty object: for some endpoints that is a complete request."""
    if not request.body.strip():
        return {}
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):  # RecursionError: JSON that is nested too deeply
        return _UNREADABLE
