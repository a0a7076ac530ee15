"""The version of this release, as shown in metrics, logs and the User-Agent."""

from importlib.metadata import version

VERSION = version("harvest-monitor")


def user_agent(contact: str | None) -> str:
    """What Greenhouse sees of us; `contact` is the operator's, for questions."""
    return f"harvest-monitor/{VERSION}" if contact is None else f"harvest-monitor/{VERSION} (+{contact})"
