"""The part of the control that makes trouble: weathers and faults of both sides, and the mails that came."""

from typing import Any

from pydantic import model_validator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from monitor.sandbox.control.fault_presets import PresetRequest, presets, turn
from monitor.sandbox.control.requests import Body, Handlers, answer, moment, number, read
from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.faults.mail import MailFault, MailFaultKind, MailStep
from monitor.sandbox.mail.inbox import Mail
from monitor.sandbox.sandbox import Sandbox

_MAILS = 100


class _Ended(Body):
    """Which faults are to end: all of both sides, those for one account or recipient, or one by its number."""

    account: str | None = None
    recipient: str | None = None
    number: int | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> "_Ended":
        if len(self.model_fields_set) > 1:
            raise ValueError("name an account, a recipient or a number, or nothing to end all")
        return self


class FaultApi:
    """The handlers; each changes or shows what goes wrong in one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def shown(self) -> Handlers:
        return {"/trouble": self.trouble, "/mails": self.mails, "/mails/{number}": self.mail}

    def done(self) -> Handlers:
        return {
            "/weather": self.weather,
            "/faults": self.add_fault,
            "/mail-faults": self.add_mail_fault,
            "/faults/clear": self.clear_faults,
        }

    async def trouble(self, request: Request) -> Response:
        return answer(trouble(self._sandbox))

    async def weather(self, request: Request) -> Response:
        turn(self._sandbox, await read(request, PresetRequest))
        return answer(trouble(self._sandbox))

    async def add_fault(self, request: Request) -> Response:
        fault = await read(request, Fault)
        self._sandbox.add_fault(fault)
        return answer(fault.model_dump(mode="json"), status=201)

    async def add_mail_fault(self, request: Request) -> Response:
        fault = await read(request, MailFault)
        self._sandbox.post_office.faults.add(fault)
        return answer(fault.model_dump(mode="json"), status=201)

    async def clear_faults(self, request: Request) -> Response:
        ended = await read(request, _Ended)
        greenhouse, mail = self._sandbox.faults, self._sandbox.post_office.faults
        if ended.number is not None:
            greenhouse.clear_one(ended.number)
            mail.clear_one(ended.number)
        if ended.number is None and ended.recipient is None:
            greenhouse.clear(ended.account)
        if ended.number is None and ended.account is None:
            mail.clear(ended.recipient)
        return answer(trouble(self._sandbox))

    async def mails(self, request: Request) -> Response:
        query, mails = request.query_params, self._sandbox.post_office.mails
        found = mails.to(query.get("recipient"), after=number(query.get("after"), 0))
        last = found[-max(1, number(query.get("limit"), _MAILS)) :]
        return answer({"count": mails.count, "mails": [_listed(mail) for mail in last]})

    async def mail(self, request: Request) -> Response:
        mail = self._sandbox.post_office.mails.mail(number(request.path_params["number"], 0))
        if mail is None:
            raise HTTPException(404, "there is no such mail, or no longer")
        return answer(_listed(mail) | {"text": mail.part("plain"), "html": mail.part("html")})


def trouble(sandbox: Sandbox) -> dict[str, Any]:
    """What goes wrong now, where mail is taken, and what could go wrong."""
    office = sandbox.post_office
    return {
        "faults": sandbox.faults.shown(),
        "mail": {"address": office.address, "count": office.mails.count, "faults": office.faults.shown()},
        "weathers": [
            {"name": each.name, "meaning": each.meaning, "of_mail": each.is_of_mail} for each in presets().values()
        ],
        "fault_kinds": list(FaultKind),
        "mail_fault_kinds": list(MailFaultKind),
        "mail_steps": list(MailStep),
    }


def _listed(mail: Mail) -> dict[str, Any]:
    return {
        "number": mail.number,
        "at": moment(mail.at),
        "sender": mail.sender,
        "recipients": mail.recipients,
        "subject": mail.message["Subject"],
        "message_id": mail.message["Message-ID"],
        "encrypted": mail.encrypted,
    }
