"""One credential's turn in a sweep: taken up, looked at, written down."""

import os
from collections.abc import Callable
from datetime import datetime

import structlog

from checks.catalogue import Entry, WriteProbes
from checks.credential import fingerprint
from checks.errors import CredentialError, ManifestError
from checks.harvest_key import Question, untried
from checks.manifest import Manifest
from checks.report import CheckReport, WriteAlarm
from monitor.drift import Policy
from monitor.errors import ConfigurationError
from monitor.greenhouse import Greenhouse
from monitor.metrics import Metrics
from monitor.notices.alarm import write_alarm_notice
from monitor.notices.policy import Policy as NoticePolicy
from monitor.notices.render import Renderer
from monitor.redaction import redactor
from monitor.roster import lower_of
from monitor.secrets import resolve
from monitor.shelf import Shelf
from monitor.store import credentials, halts
from monitor.store.credentials import Claim
from monitor.store.database import Database
from monitor.store.recording import Recorded, record

log = structlog.get_logger()


class StoredWriteGuard:
    """The stop of write probes that all workers share: asked before every write, set in the moment of an alarm."""

    def __init__(self, db: Database, claim: Claim, policy: NoticePolicy, now: Callable[[], datetime]) -> None:
        self._db = db
        self._claim = claim
        self._policy = policy
        self._now = now

    async def may_write(self, entry: Entry) -> bool:
        async with self._db.reading() as conn:
            return await halts.may_write(conn, entry.needs)

    async def halt(self, alarm: WriteAlarm) -> None:
        """Stop first, tell second: a notice that can not be worded must not keep writes going."""
        claim = self._claim
        async with self._db.writing() as conn:
            await halts.halt(conn, alarm, claim.tenant_id, claim.credential_id)
        log.error("halted_writes", tenant=claim.tenant_id, endpoint=alarm.endpoint, status=alarm.status)
        async with self._db.writing() as conn:
            await write_alarm_notice(
                conn,
                self._policy,
                Renderer(),
                alarm,
                tenant_id=claim.tenant_id,
                tenant_name=claim.tenant_name,
                credential_label=claim.label,
                now=self._now(),
            )


class Sweeper:
    """Checks one credential at a time by its number; `shelf` is replaced when the tenants file is read again."""

    def __init__(
        self,
        db: Database,
        greenhouse: Greenhouse,
        metrics: Metrics,
        shelf: Shelf,
        *,
        setting: WriteProbes,
        drift_policy: Policy,
        notice_policy: NoticePolicy,
        installation_key: bytes,
        now: Callable[[], datetime],
    ) -> None:
        self.shelf = shelf
        self._db = db
        self._greenhouse = greenhouse
        self._metrics = metrics
        self._setting = setting
        self._drift_policy = drift_policy
        self._notice_policy = notice_policy
        self._installation_key = installation_key
        self._now = now

    async def check(self, credential_id: int) -> None:
        """Take the credential up, look, write down what was found; nothing if somebody else has taken it up since."""
        async with self._db.writing() as conn:
            claim = await credentials.claim(conn, credential_id, self._now(), self._drift_policy.interval)
        if claim is not None:
            report, mark = await self._look(claim)
            recorded = await record(self._db, claim, report, mark, self._now(), self._drift_policy)
            self._account(claim, report, recorded)

    async def _look(self, claim: Claim) -> tuple[CheckReport, str | None]:
        """The report, and the fingerprint of the key it was made with; None where there was no key to use."""
        manifest = self.shelf.manifest(None)
        try:
            manifest = self.shelf.manifest(claim.manifest)
            secret = resolve(claim.reference, environ=os.environ)
            redactor.learn(secret)
            mark = fingerprint(secret, self._installation_key)
            permitted = lower_of(self._setting, claim.write_probes)
            guard = StoredWriteGuard(self._db, claim, self._notice_policy, self._now)
            question = _question(claim, manifest, mark)
            return await self._greenhouse.check(secret, question, permitted, guard), mark
        except (ConfigurationError, CredentialError, ManifestError) as problem:
            return untried(manifest, str(problem), self._now()), None

    def _account(self, claim: Claim, report: CheckReport, recorded: Recorded | None) -> None:
        if recorded is None:
            self._metrics.fenced()
            log.warning("fenced_check", tenant=claim.tenant_id, credential=claim.label)
            return
        self._metrics.checked(claim.kind, report)
        log.info(
            "checked",
            tenant=claim.tenant_id,
            credential=claim.label,
            outcome=report.outcome.value,
            state=report.state.value,
            confirmed=recorded.outcome.value,
            events=[event.kind.value for event in recorded.events],
            requests=report.requests,
            seconds=round(report.duration_seconds, 1),
            next_due=recorded.next_due.isoformat(timespec="seconds"),
        )


def _question(claim: Claim, manifest: Manifest, mark: str) -> Question:
    return Question(
        manifest=manifest,
        features=claim.features,
        declined=_declined(claim, manifest),
        remembered=claim.remembered(mark),
        only=claim.only(mark, manifest.digest),
    )


def _declined(claim: Claim, manifest: Manifest) -> frozenset[str]:
    """Ids of what the customer declined; rows name a permission by id or label, of whichever manifest of theirs."""
    wanted = frozenset(claim.declined)
    return frozenset(p.id for p in manifest.permissions if p.id in wanted or p.label in wanted)
