"""The reason that an operator gives for an action, kept with their name."""

from typing import Annotated

from fastapi import Depends, Form

from monitor.notices.wording import clean

LONGEST_REASON = 500


def _reason(reason: Annotated[str, Form()] = "") -> str:
    return clean(reason)


Reason = Annotated[str, Depends(_reason)]
"""One line, and not checked: a page that asks for it again keeps what else was chosen."""


def problem_of(reason: str) -> str:
    """What is wrong with it; empty if nothing."""
    if not reason:
        return "A reason is needed: it is kept with your name."
    if len(reason) > LONGEST_REASON:
        return f"The reason has {len(reason):,} characters; {LONGEST_REASON} are kept."
    return ""
