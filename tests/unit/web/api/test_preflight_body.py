"""Bodies of pre-flights, whatever is in them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from checks.credential import OAuthClient, Secret
from monitor.web.api.preflight_body import PREFLIGHT_BODY, ClientPreflight, KeyPreflight
from monitor.web.field_problem import in_words

CANARY = "c4na4yc4na4y"
FIELDS = [*KeyPreflight.model_fields, *ClientPreflight.model_fields, CANARY]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        [CANARY, f'"{CANARY}"', f"{CANARY}-1", "mint", "partner", "harvest-key", "harvest-oauth", "\ud800"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([CANARY, "kind"]), inner, max_size=2),
    max_leaves=4,
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8)


@given(BODIES, st.sampled_from(["harvest-key", "harvest-oauth", None]))
@settings(max_examples=300)
def test_whatever_is_sent_is_taken_or_refused_without_being_repeated(body: dict[str, Any], kind: str | None) -> None:
    """No other exception, no value in the words, and no secret in the representation of what was taken."""
    content = json.dumps(body if kind is None else {**body, "kind": kind})
    try:
        taken = PREFLIGHT_BODY.validate_json(content)
    except ValidationError as error:
        words = in_words([{**one, "loc": ("body", *one["loc"])} for one in error.errors()])
        assert words
        assert CANARY not in words
    else:
        assert isinstance(taken.credential, Secret | OAuthClient)
        secrets = {name: None for name in ("key", "client_id", "client_secret", "token") if hasattr(taken, name)}
        shown = repr(taken.model_copy(update=dict.fromkeys(("manifest", "features", "declined", "tenant"))))
        assert secrets
        assert CANARY not in shown


def test_a_body_is_never_written_out_with_its_secret() -> None:
    """Neither by its representation nor as JSON."""
    taken = PREFLIGHT_BODY.validate_python({"kind": "harvest-key", "key": CANARY})
    assert CANARY not in repr(taken)
    with pytest.raises(Exception, match="serialize"):
        taken.model_dump_json()
