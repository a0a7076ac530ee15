"""Why a tenant is not checked now, as an answer over HTTP."""

import math
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

from monitor.checking.recheck import Recheck, RecheckAnswer
from monitor.web.errors import RequestRefused

_STATUS: Mapping[Recheck, HTTPStatus] = {
    Recheck.TOO_SOON: HTTPStatus.TOO_MANY_REQUESTS,
    Recheck.UNKNOWN: HTTPStatus.NOT_FOUND,
    Recheck.REMOVED: HTTPStatus.NOT_FOUND,
    Recheck.PAUSED: HTTPStatus.CONFLICT,
    Recheck.MISCONFIGURED: HTTPStatus.CONFLICT,
}


def refused(answer: RecheckAnswer, now: datetime) -> RequestRefused:
    seconds = max(1, math.ceil((answer.again_at - now).total_seconds())) if answer.again_at else None
    return RequestRefused(
        _STATUS[answer.result],
        f"recheck_{answer.result}",
        answer.message,
        "The page of the tenant shows its last check and its next one.",
        retry_after_seconds=seconds if answer.result is Recheck.TOO_SOON else None,
    )
