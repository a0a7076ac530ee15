import socket
import tomllib
from pathlib import Path

from monitor.cli.demo.journal import open_journal
from monitor.cli.demo.pages import HOST, free_port
from monitor.cli.demo.setup import set_up


async def test_another_port_is_taken_if_the_wanted_one_is_in_use() -> None:
    """A service that runs on this machine is not in the demo's way."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = int(other.getsockname()[1])
        assert await free_port(taken) not in (0, taken)
    assert await free_port(taken) == taken


def test_the_emails_of_the_demo_lead_to_its_own_pages(tmp_path: Path) -> None:
    """They are on this machine only."""
    with open_journal(tmp_path) as journal:
        setup = set_up(journal)
        setup.point_at("http://127.0.0.1:1", f"{HOST}:9999")
        settings = tomllib.loads(setup.config.read_text("utf-8"))
    assert (settings["listen"], settings["public_url"]) == ("127.0.0.1:9999", "http://127.0.0.1:9999")
