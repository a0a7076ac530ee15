"""The troubles, one or a few alerts each: what is done, and what ends it."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import templates
from monitor.sandbox.faults.http import Fault, FaultKind
from monitor.sandbox.faults.mail import MailFault, MailFaultKind
from tests.command import until
from tests.firing.world import OFFERS, World, environment_with

FIRST = "tenant-0"
FREEZE_SECONDS = 12.0
SCRAPED_SECONDS = 1.5  # Prometheus sees a process within a second
Act = Callable[[World], None]


@dataclass(frozen=True)
class Scene:
    """`strike` begins the trouble and `mend` ends it; `how` and `end` are for the table."""

    alerts: tuple[str, ...]
    how: str
    end: str
    strike: Act
    mend: Act


def _lost_offers(world: World) -> None:
    world.untick(FIRST)


def _regained(world: World) -> None:
    world.tick()


def _file_refused(world: World) -> None:
    (world.harness.folder / "tenants.yaml").write_text("tenants: [")


def _file_written(world: World) -> None:
    world.harness.write()


def _key_gone(world: World) -> None:
    (world.harness.folder / FIRST).rename(world.harness.folder / "elsewhere")


def _key_back(world: World) -> None:
    (world.harness.folder / "elsewhere").rename(world.harness.folder / FIRST)


def _write_accepted(world: World) -> None:
    world.sandbox.add_fault(Fault(kind=FaultKind.STATUS, status=201, prefix="/v1/applications/0/move", times=1))
    world.harness.add_tenant("newcomer")


def _halt_lifted(world: World) -> None:
    world.run("writes", "resume", "--reason", "provoked")


def _many_lost_offers(world: World) -> None:
    world.untick(*world.tenants)


def _dropped(world: World) -> None:
    world.run("notices", "drop", "--all")


def _mail_refused(world: World) -> None:
    world.sandbox.mailbox.faults.add(MailFault(kind=MailFaultKind.REFUSED))
    _lost_offers(world)


def _mail_accepted(world: World) -> None:
    world.sandbox.mailbox.faults.clear()


def _recipient_refused(world: World) -> None:
    _answer_to_recipient(world, "550 5.1.1 No such user")


def _recipient_deferred_for_two_hours(world: World) -> None:
    world.restart()  # libfaketime makes checks slow
    _answer_to_recipient(world, "450 4.2.0 Later")
    until(lambda: world.process.logged("notice_delayed"))
    world.clock.set("+2h")
    world.restart(world.clock.environment)


def _answer_to_recipient(world: World, text: str) -> None:
    fault = MailFault(kind=MailFaultKind.ANSWER, text=text, recipient=f"csm-{FIRST}@vendor.example")
    world.sandbox.mailbox.faults.add(fault)
    _lost_offers(world)


def _retried(world: World) -> None:
    _mail_accepted(world)
    world.run("notices", "retry", "--all")


def _accepted_two_hours_later(world: World) -> None:
    _mail_accepted(world)
    world.clock.set("+4h")


def _broken_template(world: World) -> None:
    folder = world.harness.folder / "release"
    shutil.copytree(Path(*templates.__path__), folder / "templates")
    (folder / "templates" / "email" / "csm.txt.j2").write_text("Hello {{ message.surname }}")
    world.restart(environment_with(folder))
    _lost_offers(world)


def _restarted(world: World) -> None:
    world.restart()


def _killed(world: World) -> None:
    world.kill()


def _started(world: World) -> None:
    world.start()


def _restarted_six_times(world: World) -> None:
    for _ in range(6):
        world.restart()
        time.sleep(SCRAPED_SECONDS)


def _nothing(world: World) -> None:
    """It ends by itself."""


def _set_four_times(world: World) -> None:
    world.restart(world.clock.environment)
    for offset in ("+1h", "+0", "+1h", "+0"):
        jumps = len(world.process.logged("clock_jumped"))
        world.clock.set(offset)
        until(partial(_jumped_again, world, jumps))


def _jumped_again(world: World, jumps: int) -> bool:
    return len(world.process.logged("clock_jumped")) > jumps


def _blocked(world: World) -> None:
    world.fault("blocked")


def _cleared(world: World) -> None:
    world.sandbox.faults.clear()


def _three_blocked(world: World) -> None:
    for tenant in world.tenants[:3]:
        world.fault("blocked", tenant)


def _retired(world: World) -> None:
    world.fault("retired")


def _offers_fail(world: World) -> None:
    world.sandbox.add_fault(Fault(kind=FaultKind.STATUS, status=500, prefix=OFFERS.removeprefix("GET ")))


def _frozen(world: World) -> None:
    """While every tenant's check is under way, for longer than one may take."""
    world.restart(deadline="5s", request_timeout="3s")
    world.fault("slow")
    time.sleep(4)
    world.freeze(FREEZE_SECONDS)


def _postgres_stopped(world: World) -> None:
    assert world.postgres is not None
    world.postgres.stop()


def _postgres_started(world: World) -> None:
    assert world.postgres is not None
    world.postgres.start()


ON_POSTGRES = [
    Scene(
        ("DatabaseTrouble", "PartFailing", "SnapshotStale"),
        "Postgres is stopped",
        "it is started",
        _postgres_stopped,
        _postgres_started,
    )
]
FEW_TENANTS = [
    Scene(("UndecidedRising",), "`/v1/offers` answers 500 for all four tenants", "it answers", _offers_fail, _cleared),
    Scene(
        ("GreenhouseUnreachable", "CredentialsFailing"),
        "three of four tenants get an HTML page with 403, which are too few for the breaker",
        "they get answers",
        _three_blocked,
        _cleared,
    ),
    Scene(
        ("KeysRetired",), "every request is answered with an HTML page and 404", "it is answered", _retired, _cleared
    ),
]
MANY_TENANTS = [
    Scene(("TenantsFileRefused",), "the file is cut off", "it is whole again", _file_refused, _file_written),
    Scene(("TenantsMisconfigured",), "a key's file is gone", "it is back", _key_gone, _key_back),
    Scene(
        ("WriteHalt",),
        "a write probe of a new tenant is answered with 201",
        "`writes resume`",
        _write_accepted,
        _halt_lifted,
    ),
    Scene(("NoticesHeld",), "all lose `GET: List offers`", "`notices drop --all`", _many_lost_offers, _dropped),
    Scene(
        ("MailServerPaused",),
        "nothing listens on its port, and a tenant loses a permission",
        "it listens",
        _mail_refused,
        _mail_accepted,
    ),
    Scene(
        ("NoticesFailed",),
        "550 for the CSM, whose tenant loses a permission",
        "`notices retry --all`",
        _recipient_refused,
        _retried,
    ),
    Scene(
        ("TemplateBroken",),
        "a start with a mistake in the template, and a tenant loses a permission",
        "a start with ours",
        _broken_template,
        _restarted,
    ),
    Scene(
        ("BreakerOpen", "NoCompletedSweep", "ChecksOverdue"),
        "every request is answered with an HTML page and 403",
        "it is answered",
        _blocked,
        _cleared,
    ),
    Scene(("Down",), "`kill -9`", "a start", _killed, _started),
    Scene(
        ("Restarting",),
        "`kill -9` and a start, six times",
        "by itself, once the window has passed",
        _restarted_six_times,
        _nothing,
    ),
    Scene(
        ("ChecksFenced",),
        "the process sleeps (SIGSTOP) for longer than a check may take",
        "by itself, once the window has passed",
        _frozen,
        _cleared,
    ),
    Scene(
        ("ClockJumping",),
        "its clock is set four times (libfaketime)",
        "by itself, once the window has passed",
        _set_four_times,
        _nothing,
    ),
    Scene(
        ("OutboxOld",),
        "450 for the CSM whenever tried, and its clock two hours later (libfaketime)",
        "the email is accepted",
        _recipient_deferred_for_two_hours,
        _accepted_two_hours_later,
    ),
]
"""`OutboxOld` comes last: the clock stays ahead."""
