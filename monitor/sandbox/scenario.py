"""A sandbox described in a YAML file: accounts, keys, clients, settings, faults. `docs/sandbox.md` shows one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from checks.errors import ManifestError
from checks.manifest import Manifest, Permission, load
from checks.text_file import NotUtf8, decoded
from monitor.errors import ConfigurationError, system_words
from monitor.sandbox.faults.http import Fault
from monitor.sandbox.greenhouse.accounts import ClientGrant
from monitor.sandbox.greenhouse.endpoints import endpoint_names
from monitor.sandbox.greenhouse.scopes import scope_names
from monitor.sandbox.greenhouse.settings import mistakes
from monitor.sandbox.sandbox import CLIENT_LABEL, KEY_LABEL, Sandbox


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Variation(_Part):
    """A set of endpoints or scopes that differs from a known set by a few names."""

    base: str = Field(alias="from")
    plus: list[str] = Field(alias="with", default_factory=list)
    minus: list[str] = Field(alias="without", default_factory=list)


Words = str | list[str] | Variation


def _endpoints(words: Words) -> frozenset[str]:
    return _expanded(words, endpoint_names, lambda permission: [permission.endpoint] if permission.endpoint else [])


def _scopes(words: Words) -> frozenset[str]:
    return _expanded(words, scope_names, lambda permission: permission.scopes)


def _expanded(
    words: Words,
    expand: Callable[[str | list[str]], frozenset[str]],
    of_permission: Callable[[Permission], Iterable[str]],
) -> frozenset[str]:
    """Here and not in `expand`, which also serves requests: those must not read files."""
    if isinstance(words, Variation):
        return (_expanded(words.base, expand, of_permission) | expand(words.plus)) - expand(words.minus)
    if isinstance(words, str) and words.endswith(".yaml"):
        return frozenset(name for permission in _manifest(words).permissions for name in of_permission(permission))
    return expand(words)


def _manifest(path: str) -> Manifest:
    try:
        return load(path)
    except ManifestError as problem:
        raise ConfigurationError(str(problem)) from None


class KeyRow(_Part):
    label: str = KEY_LABEL
    text: str | None = None
    grants: Words = "all"
    dead: bool = False

    def arguments(self) -> dict[str, Any]:
        """For `Sandbox.add_key`."""
        return {"label": self.label, "text": self.text, "grants": _endpoints(self.grants)}


class ClientRow(_Part):
    label: str = CLIENT_LABEL
    client_id: str | None = None
    secret: str | None = None
    scopes: Words = "gem"
    grant: ClientGrant = "custom"
    role: str | None = None
    sub: Annotated[str, Field(pattern=r"^[0-9]+$", coerce_numbers_to_str=True)] | None = None
    ttl: Annotated[int, Field(ge=1)] = 3600
    mint_revokes: bool = False
    dead: bool = False

    def arguments(self) -> dict[str, Any]:
        """For `Sandbox.add_client`."""
        return self.model_dump(exclude={"scopes", "dead"}) | {"scopes": _scopes(self.scopes)}


class AccountRow(_Part):
    """One account; `key` is short for a list of one, and so is `client`. An account with only clients gets no key."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    key: KeyRow | None = None
    keys: list[KeyRow] = Field(default_factory=list)
    client: ClientRow | None = None
    clients: list[ClientRow] = Field(default_factory=list)

    @model_validator(mode="after")
    def _not_both(self) -> "AccountRow":
        if self.key is not None and self.keys:
            raise ValueError("give either key or keys")
        if self.client is not None and self.clients:
            raise ValueError("give either client or clients")
        return self

    def all_keys(self) -> list[KeyRow]:
        if self.key is None and self.all_clients():
            return self.keys
        return self.keys or [self.key or KeyRow()]

    def all_clients(self) -> list[ClientRow]:
        return self.clients or ([self.client] if self.client else [])


class Scenario(_Part):
    marker: str = ""
    everyone: dict[str, Any] = Field(default_factory=dict)
    accounts: list[AccountRow] = Field(min_length=1)
    faults: list[Fault] = Field(default_factory=list)


def read_scenario(path: Path) -> Sandbox:
    """The sandbox that a file describes. Raises ConfigurationError with file and line of each mistake."""
    try:
        text = decoded(path.read_bytes())
    except (OSError, NotUtf8) as problem:
        raise ConfigurationError(f"the scenario {path} cannot be read ({system_words(problem)}): correct it") from None
    return _Reader(path, text).sandbox()


class _Reader:
    """Builds the sandbox, and names the line of the file that a mistake is in."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        try:
            self._content = yaml.safe_load(text)
            # Once more as nodes, which know their lines.
            tree = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as problem:
            raise ConfigurationError(f"the scenario {path} is not YAML: {problem}") from None
        if not isinstance(tree, yaml.MappingNode):
            raise ConfigurationError(f"the scenario {path} is empty or not a mapping: it needs at least `accounts:`")
        self._tree = tree

    def sandbox(self) -> Sandbox:
        scenario = self._scenario()
        sandbox = Sandbox(marker=scenario.marker)
        with self._at("everyone"):
            sandbox.change(None, **scenario.everyone)
        for index, row in enumerate(scenario.accounts):
            with self._at("accounts", index):
                _add(sandbox, row)
        for index, fault in enumerate(scenario.faults):
            with self._at("faults", index):
                sandbox.add_fault(fault)
        return sandbox

    def _scenario(self) -> Scenario:
        try:
            return Scenario.model_validate(self._content)
        except ValidationError as problem:
            lines = [self._place(place) + text for place, text in mistakes(problem)]
            raise ConfigurationError("\n".join(lines)) from None

    @contextmanager
    def _at(self, *place: str | int) -> Iterator[None]:
        try:
            yield
        except ConfigurationError as problem:
            raise ConfigurationError(f"{self._place(place)}{problem}") from None

    def _place(self, place: Sequence[str | int]) -> str:
        """`FILE, line N: ` of the innermost part of the file at this place."""
        node: yaml.Node = self._tree
        for step in place:
            inner = _inside(node, step)
            # What is missing has no line: the line is that of the part that should have it.
            if inner is None:
                break
            node = inner
        return f"{self._path}, line {node.start_mark.line + 1}: "


def _inside(node: yaml.Node, step: str | int) -> yaml.Node | None:
    inner = node.value
    if isinstance(node, yaml.MappingNode):
        inner = {name.value: value for name, value in node.value}
        return inner.get(step)
    return inner[step] if isinstance(node, yaml.SequenceNode) and isinstance(step, int) else None


def _add(sandbox: Sandbox, row: AccountRow) -> None:
    sandbox.add_account(row.name, **row.settings)
    for key_row in row.all_keys():
        key = sandbox.add_key(row.name, **key_row.arguments())
        key.dead = key_row.dead
    for client_row in row.all_clients():
        client = sandbox.add_client(row.name, **client_row.arguments())
        client.dead = client_row.dead
