"""The pages on Harvest v3 and the sandbox give the recorded limits, and so do the sandbox and the pauses."""

from checks.wire.rate_limit import TOKEN_WINDOW_SECONDS, V3_WINDOW_SECONDS
from monitor.sandbox.greenhouse.settings import SandboxSettings
from tests.paths import ROOT

V3, SANDBOX = (" ".join((ROOT / "docs" / name).read_text("utf-8").split()) for name in ("v3.md", "sandbox.md"))


def test_limits_and_windows_are_the_recorded_ones() -> None:
    """150 in a fixed window of thirty seconds, 60 token requests a minute, and a reset that runs ahead."""
    settings = SandboxSettings()
    assert (settings.v3_limit, V3_WINDOW_SECONDS) == (150, 30)
    assert (settings.token_limit, TOKEN_WINDOW_SECONDS) == (60, 60)
    assert "windows of thirty seconds that begin at :00 and :30, and says when half of the 150 are used" in V3
    assert "`X-RateLimit-Reset` is not used on v3; it always lies thirty seconds ahead" in V3
    assert "60 token requests a minute, 150 requests in a window of thirty seconds that begins at :00 or :30" in SANDBOX
    assert "an `X-RateLimit-Reset` that runs ahead" in SANDBOX
