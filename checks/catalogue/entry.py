"""One request that may ever be sent, and what a check needs to know of it."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple


class RequestClass(StrEnum):
    """What kind of request it is; Greenhouse may check things in another order for each."""

    LIST = "list"
    BY_ID = "by-id"
    NESTED = "nested"
    POST = "POST"
    PATCH = "PATCH"
    PUT = "PUT"
    DELETE = "DELETE"
    AUTH = "auth"  # a question to the auth server of Harvest v3


class Hurdle(StrEnum):
    """A check of Greenhouse's, other than the permission, that a request is bound to fail."""

    RECORD = "record"  # the id in the path is 0, which no record has
    PARENT = "parent"  # lists under a record only: the same of the record whose list it is; may be looked up or not
    EMPTY_LIST = "empty_list"  # lists under a record only: without the record they may be empty for any key
    ON_BEHALF_OF = "on_behalf_of"  # writes only: the header is absent
    FIELDS = "fields"  # required fields are absent


class Service(StrEnum):
    """Which part of Greenhouse answers; /v1/applications is served apart (status incident 5zr6zrxpqkj4, 2018)."""

    APPLICATIONS = "applications"
    REST = "rest"


class WriteProbes(StrEnum):
    """Which write probes may be sent: none, those with id 0 in the path, or also the three without an id."""

    OFF = "off"
    SAFE = "safe"
    ALL = "all"

    def allows(self, needed: "WriteProbes") -> bool:
        # The order of the members is their meaning: each allows what those before it allow.
        order = list(WriteProbes)
        return order.index(needed) <= order.index(self)


class Role(StrEnum):
    PROBE = "probe"
    CONTROL = "control"
    ANONYMOUS = "anonymous"
    BEARER = "bearer"  # with a token of Harvest v3


class Cell(NamedTuple):
    """What one control speaks for."""

    request_class: RequestClass
    service: Service


@dataclass(frozen=True)  # no slots: cached_property needs a __dict__
class Entry:
    """One request that may be sent. `body` is what goes out, byte for byte; empty for none.

    `hurdles` are what it is bound to fail; `gives_list` is true for a list, also for one under a record.

    What is derived from target and guards is cached: a check reads it thousands of times.
    """

    endpoint: str
    method: str
    target: str
    body: bytes
    request_class: RequestClass
    guards: str  # letters explained at the top of endpoints.yaml
    role: Role
    title: str
    hurdles: frozenset[Hurdle] = frozenset()
    gives_list: bool = False

    @cached_property
    def service(self) -> Service:
        return Service.APPLICATIONS if self.segment == "applications" else Service.REST

    @cached_property
    def cell(self) -> Cell:
        return Cell(self.request_class, self.service)

    @cached_property
    def segment(self) -> str:
        """The first path segment after `/v1`."""
        return self.target.partition("?")[0].split("/")[2]

    @property
    def is_write(self) -> bool:
        # Introspection and minting are POSTs that touch no record of Harvest: no setting or halt of writes covers them.
        return self.method != "GET" and self.request_class is not RequestClass.AUTH

    @cached_property
    def needs(self) -> WriteProbes:
        """The least setting of write probes under which this request may be sent."""
        if not self.is_write:
            return WriteProbes.OFF
        return WriteProbes.SAFE if "Z" in self.guards.split("+") else WriteProbes.ALL
