"""The reason of a refusal where it stands only in the header `WWW-Authenticate` (RFC 6750, section 3)."""

import re
from collections.abc import Mapping

_ERROR = re.compile(r'(?:^|[\s,])error\s*=\s*(?:"([a-z_]{1,40})"|([a-z_]{1,40}))(?=[\s,]|$)')


def challenge_error(headers: Mapping[str, str]) -> str | None:
    """Such as `invalid_token`; None where the header names no error. `headers` has lower-case names."""
    found = _ERROR.search(headers.get("www-authenticate", "")[:2000])
    return (found[1] or found[2]) if found else None
