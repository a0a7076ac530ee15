"""The made-up records of one account: a handful per collection, with ids that no other account has.

Their personal data is invented. A marker, if one is set, is in every person's name, address and note, so that a search
for it afterwards shows whether any of it was kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from checks.catalogue.scopes import known
from monitor.sandbox.greenhouse.endpoints import Endpoint

Record = dict[str, Any]

RECORDS = 5
_ACCOUNT_STRIDE = 10_000
_COLLECTION_STRIDE = 100
_V3_FIRST = 5_000  # after the collections of v1
_FIRST_ID = 10_000_000_000  # recorded ids reach eleven digits; no record has 0 or a small number
_COLLECTIONS = (
    "answer_options", "answers", "applications", "approval_flows", "approver_groups", "candidates",
    "close_reasons", "custom_field_options", "custom_fields", "custom_locations", "degrees", "departments",
    "disciplines", "educations", "eeoc", "email_templates", "employments", "future_job_permissions", "job_permissions",
    "job_posts", "job_stages", "jobs", "notes", "offers", "offices", "openings", "pending_approvals",
    "prospect_pools", "question_sets", "questions", "rejection_reasons", "scheduled_interviews", "schools",
    "scorecards", "sources", "tags", "tracking_links", "user_roles", "users",
)  # fmt: skip
_FIELD_TYPES = frozenset(
    {"offer", "candidate", "application", "job", "rejection_question", "referral_question", "user_attribute", "opening"}
)
_PEOPLE = (
    ("Marisol", "Rivera"), ("Tobias", "Okafor"), ("Ingrid", "Halvorsen"), ("Kenji", "Moriwaki"), ("Amara", "Diallo"),
)  # fmt: skip

# Answers that are one object with several lists in it.
_MADE_OF: Mapping[str, Mapping[str, str]] = {
    "activity_feed": {"notes": "notes", "emails": "notes", "activities": "notes"},
    "hiring_team": {"hiring_managers": "users", "recruiters": "users", "coordinators": "users", "sourcers": "users"},
}

# The last record of these exists but is not visible (403, recorded 2017); nobody may write on behalf of the last user.
_PRIVATE = frozenset({"applications", "candidates"})


@dataclass(frozen=True, slots=True)
class Person:
    first: str
    last: str
    email: str
    phone: str
    note: str


def _person(number: int, marker: str) -> Person:
    first, last = _PEOPLE[(number - 1) % len(_PEOPLE)]
    suffix = f" {marker}" if marker else ""
    local = ".".join(part for part in (first.lower(), last.lower(), marker) if part)
    return Person(
        first=first,
        last=last + suffix,
        email=f"{local}@example.com",
        phone=f"+1 555 01{number:02d}{suffix}",
        note=f"{first} asked for a call on Friday; prefers the evening.{suffix}",
    )


def _candidate(person: Person, number: int) -> Record:
    return {
        "first_name": person.first,
        "last_name": person.last,
        "phone_numbers": [{"value": person.phone, "type": "mobile"}],
        "email_addresses": [{"value": person.email, "type": "personal"}],
        "addresses": [{"value": f"{number} Elm Street\n{person.last}", "type": "home"}],
        "is_private": number == RECORDS,
    }


def _application(person: Person, number: int) -> Record:
    return {
        "status": "rejected" if number == 4 else "active",
        "prospect": False,
        "answers": [{"question": "Why do you want to work here?", "answer": person.note}],
        "credited_to": {"name": f"{person.first} {person.last}"},
        "last_activity_at": "2024-03-05T10:00:00.000Z",
    }


def _user(person: Person, number: int) -> Record:
    return {
        "name": f"{person.first} {person.last}",
        "first_name": person.first,
        "last_name": person.last,
        "primary_email_address": person.email,
        "site_admin": number < RECORDS,
        "disabled": False,
    }


def _interview(person: Person, number: int) -> Record:
    return {
        "status": "scheduled",
        "start": {"date_time": f"2024-03-1{number}T10:00:00.000Z"},
        "organizer": {"name": f"{person.first} {person.last}", "email": person.email},
        "interviewers": [{"name": f"{person.first} {person.last}", "email": person.email}],
    }


def _scorecard(person: Person, number: int) -> Record:
    return {
        "submitted_by": {"name": f"{person.first} {person.last}", "email": person.email},
        "overall_recommendation": "yes" if number % 2 else "no",
        "questions": [{"question": "Key take-aways", "answer": person.note}],
        "submitted_at": "2024-03-04T10:00:00.000Z",
    }


def _eeoc(person: Person, number: int) -> Record:
    return {
        "race": {"id": number, "description": "Decline To Self-Identify"},
        "gender": {"id": number, "description": "Decline To Self-Identify"},
        "veteran_status": {"id": number, "message": person.note},
        "submitted_at": "2024-03-04T10:00:00.000Z",
    }


def _job(person: Person, number: int) -> Record:
    return {"status": "open" if number % 2 else "closed", "notes": person.note, "confidential": False}


def _offer(person: Person, number: int) -> Record:
    return {"status": "accepted", "starts_at": f"2024-04-0{number}", "custom_fields": {"notes": person.note}}


def _email_template(person: Person, number: int) -> Record:
    return {"from": person.email, "body": person.note, "cc": [], "default": number == 1}


def _note(person: Person, number: int) -> Record:
    return {"body": person.note, "to": person.email, "user": {"name": f"{person.first} {person.last}"}}


def _answer(person: Person, number: int) -> Record:
    return {"free_form_text": person.note, "demographic_question_id": number}


_DETAILS: Mapping[str, Callable[[Person, int], Record]] = {
    "answers": _answer,
    "applications": _application,
    "candidates": _candidate,
    "eeoc": _eeoc,
    "email_templates": _email_template,
    "jobs": _job,
    "notes": _note,
    "offers": _offer,
    "scheduled_interviews": _interview,
    "scorecards": _scorecard,
    "users": _user,
}


@cache
def _v3_number(resource: str) -> int:
    return next(number for number, each in enumerate(known().values()) if each.resource == resource)


class Records:
    """The records of one account. A collection is generated at its first use, the same each time."""

    def __init__(self, account_number: int, marker: str) -> None:
        self._account_number = account_number
        self._marker = marker
        self._made: dict[str, dict[str, Record]] = {}

    def ids(self, collection: str) -> list[int]:
        """The ids of the visible records of a collection, e.g. `candidates`."""
        return [record["id"] for record in self.visible(collection)]

    def visible(self, collection: str) -> list[Record]:
        return [record for record in self._collection(collection).values() if not self.is_private(collection, record)]

    def find(self, placeholder: str, collection: str, key: str) -> Record | None:
        """The record that a placeholder's value names: an id, a tracking link's token, or a type of custom field."""
        if placeholder == "field_type":
            return {"id": 0} if key in _FIELD_TYPES else None
        return self._collection(collection).get(key)

    def is_private(self, collection: str, record: Record) -> bool:
        return collection in _PRIVATE and record["id"] % _COLLECTION_STRIDE == RECORDS

    def may_act(self, user: Record) -> bool:
        """Whether writes may be made on behalf of this user."""
        return bool(user["site_admin"])

    def page(self, endpoint: Endpoint, query: Mapping[str, str]) -> list[Record]:
        """What a list answers to a query. Undocumented parameters are ignored."""
        asked = {name: value for name, value in query.items() if name in endpoint.query}
        found = [record for record in self.visible(endpoint.collection) if _matches(record, asked)]
        size = _whole_number(asked.get("per_page"), default=100, most=500)
        start = (_whole_number(asked.get("page"), default=1, most=10**6) - 1) * size
        return found[start : start + size]

    def single(self, endpoint: Endpoint, found: list[Record]) -> Record:
        """What a GET of one object answers; `found` holds the records that its path names, in order."""
        if endpoint.collection in _MADE_OF:
            return {part: self.visible(of) for part, of in _MADE_OF[endpoint.collection].items()}
        names_it = endpoint.refers[-1][1] == endpoint.collection
        return found[-1] if names_it else self.visible(endpoint.collection)[0]

    def of_v3(self, resource: str) -> Record:
        """The one record of a v3 list. Its fields are invented: only that it exists matters here."""
        person = _person(1, self._marker)
        return {
            "id": _FIRST_ID + self._account_number * _ACCOUNT_STRIDE + _V3_FIRST + _v3_number(resource),
            "name": f"{person.first} {person.last}",
            "email": person.email,
            "note": person.note,
            "created_at": "2024-03-01T09:00:00.000Z",
            "updated_at": "2024-03-01T17:30:00.000Z",
        }

    def _collection(self, collection: str) -> dict[str, Record]:
        made = self._made.get(collection)
        if made is None:
            made = self._made[collection] = self._make(collection)
        return made

    def _make(self, collection: str) -> dict[str, Record]:
        base = _FIRST_ID + self._account_number * _ACCOUNT_STRIDE + _COLLECTIONS.index(collection) * _COLLECTION_STRIDE
        records = [self._record(collection, base + number, number) for number in range(1, RECORDS + 1)]
        return {str(record.get("token", record["id"])): record for record in records}

    def _record(self, collection: str, identity: int, number: int) -> Record:
        record: Record = {
            "id": identity,
            "name": f"{collection.replace('_', ' ').capitalize()} {number}",
            "created_at": f"2024-03-0{number}T09:00:00.000Z",
            "updated_at": f"2024-03-0{number}T17:30:00.000Z",
        }
        if collection == "tracking_links":
            record["token"] = f"sandbox{identity}"
        return record | self._details(collection, number)

    def _details(self, collection: str, number: int) -> Record:
        details = _DETAILS.get(collection)
        return details(_person(number, self._marker), number) if details else {}


def _matches(record: Record, asked: Mapping[str, str]) -> bool:
    if "status" in asked and record.get("status", asked["status"]) != asked["status"]:
        return False
    return all(_in_time(record, name, value) for name, value in asked.items())


def _in_time(record: Record, name: str, value: str) -> bool:
    """Whether the record is on the right side of a `created_after` or similar; a value that is no date is ignored."""
    field, _, side = name.rpartition("_")
    moment, limit = _moment(record.get(f"{field}_at")), _moment(value)
    if side not in ("after", "before") or moment is None or limit is None:
        return True
    return moment >= limit if side == "after" else moment < limit


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _whole_number(text: str | None, *, default: int, most: int) -> int:
    # Cut to nine digits: int() raises ValueError for a text of more than 4,300.
    if text is None or not text.isascii() or not text.isdigit() or int(text[:9]) < 1:
        return default
    return min(int(text[:9]), most)
