import pytest

from monitor.config.addresses import (
    Encryption,
    ListenAddress,
    MailServer,
    greenhouse_origin,
    listen_address,
    mail_target,
    page_address,
    proxy_address,
)


@pytest.mark.parametrize(
    ("written", "server"),
    [
        ("smtp://mail.example", MailServer("mail.example", 587, Encryption.STARTTLS)),
        ("smtp://u:p@mail.example:25?tls=starttls", MailServer("mail.example", 25, Encryption.STARTTLS, "u", "p")),
        ("smtp://dana%40x:a%2Fb@mail.example", MailServer("mail.example", 587, Encryption.STARTTLS, "dana@x", "a/b")),
        ("smtps://u:p@mail.example/", MailServer("mail.example", 465, Encryption.TLS, "u", "p")),
        ("smtp://u:p@[::1]:1025?tls=none", MailServer("::1", 1025, Encryption.NONE, "u", "p")),
        ("smtp://relay:25?tls=none&insecure=yes", MailServer("relay", 25, Encryption.NONE)),
    ],
)
def test_mail_servers(written: str, server: MailServer) -> None:
    """STARTTLS is the default; unencrypted only to loopback, or to a relay without a password, marked insecure."""
    assert mail_target(written) == server


@pytest.mark.parametrize(
    "written",
    [
        "mail.example:587",
        "imap://mail.example",
        "smtp://",
        "smtp://mail.example/path",
        "smtp://mail.example:0",
        "smtp://mail.example:70000",
        "smtp://mail.example?tls=none",  # another host, without insecure=yes
        "smtp://u:p@mail.example?tls=none&insecure=yes",  # the password would travel unencrypted
        "smtp://mail.example?tls=maybe",
        "smtp://mail.example?verify=no",
        "smtps://mail.example?tls=none",
        "smtp://u@mail.example",  # a user without a password
        "smtp://u:pa#ss@mail.example",  # would be cut off silently at the #
        "smtp://mail.example#tls=none",
        "smtp://mail.example\n",
        "smtp://mäil.example",
        "mailbox:",
        "mailbox:/mail\nbox",
    ],
)
def test_mail_servers_refused(written: str) -> None:
    """An address that is not a mail server, or would send a password unencrypted, is refused."""
    with pytest.raises(ValueError, match=r"must|takes|asks|knows|names|is no"):
        mail_target(written)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:9808", ListenAddress("127.0.0.1", 9808)),
        ("[::]:80", ListenAddress("::", 80)),
        ("monitor.internal:0", ListenAddress("monitor.internal", 0)),
    ],
)
def test_listen_addresses(written: str, address: ListenAddress) -> None:
    """Host and port; brackets around an IPv6 host are removed."""
    assert listen_address(written) == address


@pytest.mark.parametrize("written", ["9808", ":9808", "127.0.0.1", "127.0.0.1:", "h:65536", "h:-1", "h:٣", "a b:80"])
def test_listen_addresses_refused(written: str) -> None:
    """Both host and port are needed."""
    with pytest.raises(ValueError, match="must"):
        listen_address(written)


def test_addresses_of_pages_and_proxies() -> None:
    """A page address loses its final slash; only a proxy address may contain a password."""
    assert page_address("https://monitor.vendor.example/path/") == "https://monitor.vendor.example/path"
    assert proxy_address("http://u:p@proxy:3128/") == "http://u:p@proxy:3128"
    with pytest.raises(ValueError, match="without user"):
        page_address("https://u:p@monitor.vendor.example")
    with pytest.raises(ValueError, match="must be"):
        proxy_address("http://proxy:3128/path")


def test_greenhouse_origins_are_normal() -> None:
    """One server has one spelling."""
    assert greenhouse_origin("HTTPS://Harvest.Greenhouse.io:443/") == "https://harvest.greenhouse.io"
    with pytest.raises(ValueError, match="must be one address"):
        greenhouse_origin("https://harvest.greenhouse.io\n")
