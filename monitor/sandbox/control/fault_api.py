"""The part of the control API for faults and presets of both sides, and for the mails that were accepted."""

from typing import Any

from pydantic import model_validator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from monitor.sandbox.control.fault_presets import PresetRequest, activate, presets
from monitor.sandbox.control.requests import Body, Handlers, answer, iso_time, number, read
from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.faults.mail import MailFault, MailFaultKind, MailStep
from monitor.sandbox.mail.inbox import Mail
from monitor.sandbox.sandbox import Sandbox

_MAILS = 100


class _FaultsToEnd(Body):
    """All faults of both sides, those for one account or recipient, or one by its number."""

    account: str | None = None
    recipient: str | None = None
    number: int | None = None

    @model_validator(mode="after")
    def _at_most_one(self) -> "_FaultsToEnd":
        if len(self.model_fields_set) > 1:
            raise ValueError("name an account, a recipient or a number, or nothing to end all")
        return self


class FaultApi:
    """Each handler changes or shows what goes wrong in one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def gets(self) -> Handlers:
        return {"/trouble": self.faults, "/mails": self.mails, "/mails/{number}": self.mail}

    def posts(self) -> Handlers:
        return {
            "/weather": self.activate_preset,
            "/faults": self.add_fault,
            "/mail-faults": self.add_mail_fault,
            "/faults/clear": self.clear_faults,
        }

    async def faults(self, request: Request) -> Response:
        return answer(shown_faults(self._sandbox))

    async def activate_preset(self, request: Request) -> Response:
        activate(self._sandbox, await read(request, PresetRequest))
        return answer(shown_faults(self._sandbox))

    async def add_fault(self, request: Request) -> Response:
        fault = await read(request, Fault)
        self._sandbox.add_fault(fault)
        return answer(fault.model_dump(mode="json"), status=201)

    async def add_mail_fault(self, request: Request) -> Response:
        fault = await read(request, MailFault)
        self._sandbox.mailbox.faults.add(fault)
        return answer(fault.model_dump(mode="json"), status=201)

    async def clear_faults(self, request: Request) -> Response:
        which = await read(request, _FaultsToEnd)
        greenhouse, mail = self._sandbox.faults, self._sandbox.mailbox.faults
        if which.number is not None:
            greenhouse.clear_one(which.number)
            mail.clear_one(which.number)
        if which.number is None and which.recipient is None:
            greenhouse.clear(which.account)
        if which.number is None and which.account is None:
            mail.clear(which.recipient)
        return answer(shown_faults(self._sandbox))

    async def mails(self, request: Request) -> Response:
        query, mails = request.query_params, self._sandbox.mailbox.mails
        found = mails.to(query.get("recipient"), after=number(query.get("after"), 0))
        last = found[-max(1, number(query.get("limit"), _MAILS)) :]
        return answer({"count": mails.count, "mails": [_shown_mail(mail) for mail in last]})

    async def mail(self, request: Request) -> Response:
        mail = self._sandbox.mailbox.mails.mail(number(request.path_params["number"], 0))
        if mail is None:
            raise HTTPException(404, "there is no such mail, or it is no longer kept")
        return answer(_shown_mail(mail) | {"text": mail.part("plain"), "html": mail.part("html")})


def shown_faults(sandbox: Sandbox) -> dict[str, Any]:
    """The active faults, where mail is accepted, and what faults there are to choose from."""
    mailbox = sandbox.mailbox
    return {
        "faults": sandbox.faults.shown(),
        "mail": {"address": mailbox.address, "count": mailbox.mails.count, "faults": mailbox.faults.shown()},
        "weathers": [
            {"name": each.name, "meaning": each.meaning, "of_mail": each.is_for_mail} for each in presets().values()
        ],
        "fault_kinds": list(FaultKind),
        "mail_fault_kinds": list(MailFaultKind),
        "mail_steps": list(MailStep),
    }


def _shown_mail(mail: Mail) -> dict[str, Any]:
    return {
        "number": mail.number,
        "at": iso_time(mail.at),
        "sender": mail.sender,
        "recipients": mail.recipients,
        "subject": mail.message["Subject"],
        "message_id": mail.message["Message-ID"],
        "encrypted": mail.encrypted,
    }
