"""Our two cookies: the session's, and the one that binds a sign-in at the provider to the browser that began it."""

from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Cookie:
    """`https` says that people reach us by https although a proxy ends the TLS."""

    name: str
    lasts: timedelta
    https: bool

    def read(self, request: Request) -> str:
        """What the browser sent; empty if nothing."""
        return request.cookies.get(self._full_name(request), "")

    def write(self, request: Request, response: Response, value: str) -> None:
        response.set_cookie(
            self._full_name(request),
            value,
            max_age=int(self.lasts.total_seconds()),
            path="/",
            secure=self._secure(request),
            httponly=True,
            # Not strict: a link in an email must open a page, and the provider sends people back.
            samesite="lax",
        )

    def clear(self, request: Request, response: Response) -> None:
        response.delete_cookie(
            self._full_name(request), path="/", secure=self._secure(request), httponly=True, samesite="lax"
        )

    def _full_name(self, request: Request) -> str:
        # With __Host- no other host of the domain can plant it; browsers allow that over https only.
        return f"__Host-{self.name}" if self._secure(request) else self.name

    def _secure(self, request: Request) -> bool:
        return self.https or request.url.scheme == "https"
