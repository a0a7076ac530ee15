"""The reason that an operator gives for an action, kept with their name."""

from typing import Annotated

from fastapi import Depends, Form
from pydantic import BeforeValidator, Field

from monitor.notices.wording import clean

LONGEST_REASON = 500


def _reason(reason: Annotated[str, Form()] = "") -> str:
    return clean(reason)


Reason = Annotated[str, Depends(_reason)]
"""One line, and not checked: a page that asks for it again keeps what else was chosen."""


def _one_line(value: object) -> object:
    return clean(value) if isinstance(value, str) else value


JsonReason = Annotated[str, BeforeValidator(_one_line), Field(max_length=LONGEST_REASON)]
"""A field of a body in JSON; one line, too. It may be empty, unless the model says otherwise."""


def problem_of(reason: str) -> str:
    """What is wrong with it; empty if nothing."""
    if not reason:
        return "A reason is needed: it is kept with your name."
    if len(reason) > LONGEST_REASON:
        return f"The reason has {len(reason):,} characters; {LONGEST_REASON} are kept."
    return ""
