"""Says in the log why Greenhouse was not reached: once for each cause and credential, whatever number of requests."""

import structlog

from checks.report import CheckReport

log = structlog.get_logger()


class FailureLog:
    """Remembers, while a cause lasts, that it was told. One for each process."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], str] = {}

    def note(self, tenant_id: str, label: str, report: CheckReport) -> None:
        if report.paused:
            return
        credential = (tenant_id, label)
        why = report.connection_failure
        if not why:
            self._told.pop(credential, None)
        elif self._told.get(credential) != why:
            self._told[credential] = why
            log.warning("greenhouse_not_reached", tenant=tenant_id, credential=label, detail=report.detail, why=why)
