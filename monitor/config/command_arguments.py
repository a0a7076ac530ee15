"""Whether a command's arguments hold a secret: they are stored, and every user of the machine sees them in `ps`.

A name that speaks of a secret is not enough (`--secret-id acme/harvest` names one), nor is a value that looks random
(ids and digests do): where both meet, or where nothing says that a random text is an id, it is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ID = re.compile(rf"{_UUID.pattern}|[a-z2-7]{{26}}")  # the second as 1Password makes them
# How tokens of well-known services begin, wherever they stand.
_ISSUED = re.compile(
    r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+|(gh[opsur]|github_pat|glpat|npm|ops|hm[sl]?|sk_live|rk_live)[_-][A-Za-z0-9_-]{16,}"
    r"|hv[sbr]\.[A-Za-z0-9_-]{16,}|s\.[A-Za-z0-9]{24}|dp\.(st|pt|ct)\.[A-Za-z0-9._-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|ya29\.[A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,}"
)
_PASSWORD_WORDS = frozenset({"pass", "passphrase", "passwd", "password", "pwd"})
_SECRET_WORDS = frozenset(
    {"apikey", "auth", "authorization", "bearer", "cookie", "credential", "credentials", "key", "secret", "token"}
)
_ID_WORDS = frozenset(
    {"arn", "digest", "fingerprint", "guid", "id", "item", "rev", "serial", "thumbprint", "uuid", "vault", "version"}
)
# What names where the secret is, and is none: a path, an option, a placeholder, a variable or a file for the program.
_REFERENCE = re.compile(r"[-/@.{$].*|(env|file|fd|op|arn|https?|projects|sha256|vault|ref):.*|stdin")
_HEADER = re.compile(r"\W*((proxy-)?authorization|cookie)\W?:.*", re.IGNORECASE)
_SCHEME = re.compile(r"\W*(bearer|basic)", re.IGNORECASE)
_USER = re.compile(r"[^/@:?#]*:([^/@]+)@|([^/@:?#]+)@")
_HEX = re.compile(r"(?=.*[A-Fa-f])(?=.*[0-9])[0-9A-Fa-f]+")
_DIGEST = re.compile(r"sha(256|512):[0-9a-f]{64,}")
_BASE64_PART = re.compile(r"[A-Za-z0-9+/=]+")
_SEGMENT = re.compile(r"[A-Za-z0-9+=~]+")
_RUN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


@dataclass(frozen=True, slots=True)
class _Randomness:
    """From when on a text is taken for random: by its longest part without a separator, and by its runs of one class.

    Random letters and digits have runs of 1.3 to 2.5 characters; what people name things has 3 and more.
    """

    length: int
    mean_run: float


_SAID_TO_BE_SECRET = _Randomness(10, 3.0)
_SAID_TO_BE_NOTHING = _Randomness(20, 2.4)
_BASE64 = _Randomness(32, 2.4)  # its slashes part no words


def secret_in(arguments: Sequence[str]) -> int | None:
    """The position, from 1, of the first argument that holds a secret; None if none does."""
    before = ""
    for position, argument in enumerate((_DIGEST.sub("", argument) for argument in arguments), 1):
        if _holds_secret(argument, before):
            return position
        before = argument
    return None


def _holds_secret(argument: str, before: str) -> bool:
    if _ISSUED.search(argument) or _HEADER.fullmatch(argument):
        return True
    if _SCHEME.fullmatch(before) and _is_random(argument, _SAID_TO_BE_SECRET):
        return True
    option = before if before.startswith("-") and not re.search("[=:]", before) else ""
    if option in ("-u", "--user") and _is_user_with_password(argument):
        return True
    if "://" in argument:
        return _is_in_address(argument)
    name, value = _named(argument)
    return _is_secret(name or option, value)


def _named(argument: str) -> tuple[str, str]:
    """Its name and value, as in `--name=value` or `Name:value`; without a name, all of it is the value."""
    found = re.fullmatch(r"([\"']?-{0,2}[A-Za-z][\w.-]*)[=:]+(.*)", argument)
    return (found[1], found[2]) if found and len(found[1]) < 40 else ("", argument)


def _is_secret(name: str, value: str) -> bool:
    value = value.strip("\"'")
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)]
    last = words[-1] if words else ""
    if not value or _REFERENCE.fullmatch(value):
        return False
    if last in _PASSWORD_WORDS and "/" not in value:
        return True
    if last in _SECRET_WORDS | _PASSWORD_WORDS or words[-2:] == ["secret", "id"]:
        return bool(_UUID.search(value)) or _is_random(value, _SAID_TO_BE_SECRET)
    return last not in _ID_WORDS and not _ID.fullmatch(value) and _is_random(value, _SAID_TO_BE_NOTHING)


def _is_random(text: str, wanted: _Randomness) -> bool:
    longest = max(_SEGMENT.findall(text), key=len, default="")
    if _HEX.fullmatch(longest) and len(longest) >= wanted.length:
        return True
    return _has_short_runs(longest, wanted) or any(
        _has_short_runs(part, _BASE64) for part in _BASE64_PART.findall(text)
    )


def _has_short_runs(text: str, wanted: _Randomness) -> bool:
    runs = _RUN.findall(text)
    classes = {"0" if run.isdecimal() else "A" if run.isupper() else "a" for run in runs}
    return len(text) >= wanted.length and len(classes) > 1 and sum(map(len, runs)) / len(runs) < wanted.mean_run


def _is_user_with_password(argument: str) -> bool:
    _, colon, password = argument.partition(":")
    return bool(colon and password) and not re.fullmatch(r"[0-9]{1,5}|\{.*|\$.*", password)


def _is_in_address(argument: str) -> bool:
    """In a URL's user, password or query. Its path may hold ids, such as the version of a secret."""
    _, _, rest = argument.partition("://")
    user = _USER.match(rest)
    if user and (user[1] or _is_random(user[2], _SAID_TO_BE_SECRET)):
        return True
    pairs = (pair.partition("=") for pair in re.split("[?&#]", rest)[1:])
    return any(_is_secret(f"-{name}", value) for name, _, value in pairs)
