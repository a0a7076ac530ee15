"""Which release this is, as metrics, logs and the User-Agent tell it."""

from importlib.metadata import version

VERSION = version("harvest-monitor")


def user_agent(contact: str | None) -> str:
    """What Greenhouse sees of us; the contact is the operator's, so that a question finds somebody."""
    return f"harvest-monitor/{VERSION}" if contact is None else f"harvest-monitor/{VERSION} (+{contact})"
