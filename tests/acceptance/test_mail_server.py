"""The service in its own process while its mail server is down or does not answer."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.background_server import background_server
from tests.command import run_json, until
from tests.mail import AUTHORITY, PASSWORD, Sink, listening, plain, starttls
from tests.postfix import Postfix
from tests.service import ServiceHarness, checked

ROOT = Path(__file__).parents[2]


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which nothing listens yet."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def test_what_could_not_be_sent_is_sent_once_when_the_server_is_back(harness: ServiceHarness, port: int) -> None:
    """The notice is pending and the gauges say why; then it is sent once, over TLS with our own CA bundle."""
    harness.add_tenant("acme")
    smtp_url = f"smtp://monitor:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"
    with harness.serve(smtp_url=smtp_url, smtp_ca_bundle=AUTHORITY) as service:
        checked(service, "acme")
        harness.sandbox.key("acme").untick("GET /v1/offers")
        until(lambda: service.logged("mail_server_paused"))
        assert "harvest_monitor_mail_server_paused 1.0" in service.get("/metrics")[1]
        (notice,) = run_json(harness.folder, "notices", "list", **harness.settings)["notices"]
        assert (notice["status"], notice["attempts"]) == ("pending", 0)
        assert f"127.0.0.1:{port}" in notice["last_error"]
        sink = Sink()
        with background_server(lambda: listening(starttls(sink), port=port)):
            until(lambda: service.logged("notice_sent"))
            until(lambda: "harvest_monitor_mail_server_paused 0.0" in service.get("/metrics")[1])
            assert 'harvest_monitor_notices_failed_total{reason="server"}' in service.get("/metrics")[1]
            harness.sandbox.key("acme").tick("GET /v1/offers")
            until(lambda: len(service.logged("notice_sent")) == 2)
            assert service.stop() == 0
    assert sink.encrypted == [True, True]
    assert [(message["To"], message["Subject"]) for message in sink.messages] == [
        ("Dana <csm-acme@vendor.example>", "Acme: Greenhouse permission missing (List offers)"),
        ("Dana <csm-acme@vendor.example>", "Acme: Greenhouse permission restored (List offers)"),
    ]


def test_a_strict_postfix_takes_our_mail_and_one_that_refuses_our_sender_fails_none(
    harness: ServiceHarness, postfix: Postfix
) -> None:
    """Greeted with a full name, addressed by name. A rule on senders, told at RCPT, is told on and waited for."""
    harness.add_tenant("acme")
    with harness.serve(smtp_url=postfix.url("helo")) as service:
        checked(service, "acme")
        harness.sandbox.key("acme").untick("GET /v1/offers")
        (mail,) = until(lambda: postfix.mails("csm-acme"))
        assert service.stop() == 0
    assert str(mail["To"]) == "Dana <csm-acme@vendor.example>"
    assert "from vendor.example (" in mail["Received"]
    with harness.serve(smtp_url=postfix.url("sender")) as service:
        harness.sandbox.key("acme").tick("GET /v1/offers")
        until(lambda: service.logged("notice_delayed"))
        assert "harvest_monitor_mail_server_paused 1.0" in service.get("/metrics")[1]
        assert service.stop() == 0
    notice, _ = run_json(harness.folder, "notices", "list", **harness.settings)["notices"]
    assert (notice["status"], notice["attempts"]) == ("pending", 1)
    assert "Sender address rejected: Access denied" in notice["last_error"]


def test_a_mail_server_that_does_not_answer_delays_no_stop(harness: ServiceHarness) -> None:
    """A send that hangs gets no more time than the stop; the notice stays pending."""
    harness.add_tenant("acme")
    sink = Sink(hang_at="RCPT")
    with background_server(lambda: listening(plain(sink))) as port:
        with harness.serve(
            smtp_url=f"smtp://127.0.0.1:{port}?tls=none", smtp_timeout="5m", stop_timeout="1s"
        ) as service:
            checked(service, "acme")
            harness.sandbox.key("acme").untick("GET /v1/offers")
            until(lambda: sink.asked)
            assert service.stop() == 0
    (notice,) = run_json(harness.folder, "notices", "list", **harness.settings)["notices"]
    assert (notice["status"], sink.taken) == ("pending", [])


def test_a_failed_email_is_reported_and_retried_even_if_its_template_is_broken(
    harness: ServiceHarness,
    tmp_path: Path,
) -> None:
    """A wrong address and a broken template: the operator is notified of both, and a retry reaches the CSM."""
    harness.add_tenant("acme")
    shutil.copytree(ROOT / "templates", tmp_path / "release" / "templates")
    (tmp_path / "release" / "templates" / "email" / "csm.txt.j2").write_text("Hello {{ message.surname }}")
    sink = Sink(refused={"csm-acme@vendor.example": "550 5.1.1 No such user"})
    with background_server(lambda: listening(plain(sink))) as port:
        settings = {**harness.settings, "smtp_url": f"smtp://127.0.0.1:{port}?tls=none"}
        with harness.serve(
            smtp_url=settings["smtp_url"], environment={"PYTHONPATH": str(tmp_path / "release")}
        ) as service:
            checked(service, "acme")
            harness.sandbox.key("acme").untick("GET /v1/offers")
            until(lambda: len(sink.taken) == 2)
            assert [(message["To"], message["Subject"]) for message in sink.messages] == [
                ("ops@vendor.example", "Action: the email template “csm” cannot be used"),
                ("ops@vendor.example", "Action: a notice did not reach csm-acme@vendor.example"),
            ]
            assert "harvest_monitor_notices_fallback_total 1.0" in service.get("/metrics")[1]
            (failed,) = run_json(harness.folder, "notices", "list", "--status", "failed", **settings)["notices"]
            assert failed["fallback"]
            harness.rows[0]["csm"]["email"] = "lee@vendor.example"
            harness.write()
            until(lambda: len(service.logged("loaded_tenants_file")) == 2)
            retried = run_json(harness.folder, "notices", "retry", str(failed["id"]), **settings)
            assert retried == {"retried": [failed["id"]]}
            until(lambda: len(sink.taken) == 3)
    mail = sink.messages[-1]
    assert (mail["To"], mail.get_content_type()) == ("Dana <lee@vendor.example>", "text/plain")
    assert "   [ ] GET: List offers" in mail.get_content()
