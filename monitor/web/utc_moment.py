"""Moments in the API: ISO 8601, UTC, with a Z."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, PlainSerializer, WithJsonSchema


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


UtcMoment = Annotated[
    AwareDatetime,
    PlainSerializer(_written, return_type=str),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "description": "UTC, to the second"}, mode="serialization"
    ),
]
