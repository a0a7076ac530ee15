"""The demo's words for people who see them for the first time, one line each."""

from collections.abc import Sequence

from rich.console import Console

INTRODUCTION = (
    "A vendor's customers, its tenants, each gave it a key to their Greenhouse. When",
    "somebody there unticks a permission, part of the integration stops without a",
    "word. This notices it, and tells the CSM: the customer success manager, the",
    "person at the vendor who looks after that customer.",
)
OF_TENANTS = (
    ("drifted", "a permission that the integration needs is missing"),
    ("undecided", "Greenhouse's answers prove it neither granted nor missing"),
    ("failing", "the key or token as a whole does not work"),
    ("paused", "left alone on purpose, as the tenants file says"),
    ("v1, v3", "an API key with ticked permissions; an OAuth client with scopes"),
)
OF_CONFIRMATION = (("suspect", "seen missing once; a second check confirmed each of these"),)
OF_THE_BRAKE = (("held", "not sent unless the operator, who runs this service, releases it"),)
OF_EVENTS = (
    ("found", "it was missing when the tenant was first checked"),
    ("lost", "it was there at an earlier check, and is not any more"),
    ("excess_found", "the key may do more than the integration asks for"),
)
REMARKS = (
    "Of v1, 16 write permissions are not checked: write probes are off by default.",
    "Weyland's v1 key is retired, as all of v1 may be; the others still work.",
)


def explain(console: Console, words: Sequence[tuple[str, str]]) -> None:
    widest = max(len(word) for word, _ in words)
    for word, meaning in words:
        console.print(f"   [dim]{word:<{widest}}  {meaning}[/]")
