"""The secrets that we issue, and that nothing shows them."""

import secrets

from monitor.redaction import redactor
from monitor.web.auth.secret import SecretKind, digest_of, holds_token, is_secret, new_secret


def test_each_kind_is_told_apart() -> None:
    """256 random bits with a prefix and a checksum; one kind does not pass for another."""
    for kind in SecretKind:
        secret = new_secret(kind, secrets.token_bytes)
        assert [other for other in SecretKind if is_secret(secret, other)] == [kind]
        assert len(secret) == len(kind) + 49
        assert len(digest_of(secret)) == 64


def test_random_bits_are_asked_for() -> None:
    """32 bytes, all of which matter."""
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    zeros = new_secret(SecretKind.SESSION, random)
    assert asked == [32]
    for position in range(32):
        other = new_secret(SecretKind.SESSION, lambda count, at=position: bytes(at) + b"\1" + bytes(count - at - 1))
        assert other != zeros


def test_any_altered_letter_is_noticed() -> None:
    """So a mistyped token costs no query."""
    secret = new_secret(SecretKind.API_TOKEN, secrets.token_bytes)
    for position in range(len(secret)):
        altered = secret[:position] + ("A" if secret[position] != "A" else "B") + secret[position + 1 :]
        assert not is_secret(altered, SecretKind.API_TOKEN), position
    assert not is_secret(secret + "\n", SecretKind.API_TOKEN)


def test_logs_mask_each_kind_by_its_shape() -> None:
    """Also one that nobody registered, wherever it stands."""
    for kind in SecretKind:
        secret = new_secret(kind, secrets.token_bytes)
        for text in (secret, f"/sign-in/link/{secret}", f'"{secret}"', f"token={secret}&x", f"a {secret}, b"):
            assert secret[4:] not in redactor.text(text), (kind, text)


def test_a_token_is_found_within_a_text() -> None:
    """API tokens and session ids; a link's secret belongs into an address."""
    for kind in SecretKind:
        text = f"/a/{new_secret(kind, secrets.token_bytes)}?b"
        assert holds_token(text) is (kind is not SecretKind.LINK)
    assert not holds_token("hm_short and " + "x" * 100)
