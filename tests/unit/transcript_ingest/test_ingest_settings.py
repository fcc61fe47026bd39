"""The environment: which key pairs participants' tokens are believed by."""

from __future__ import annotations

import pytest

from meetai_servicekit.auth import new_service_key
from meetai_servicekit.secret import Secret
from meetai_servicekit.settings import SettingsError, load
from meetai_transcript_ingest.settings import IngestSettings

GOOD = {
    "DATABASE_URL": "postgresql://user:pass@localhost/db",
    "REDIS_URL": "redis://localhost:6379/0",
    "SERVICE_KEYS": new_service_key("app", frozenset({"transcripts:read"}))[1],
}
PAIR = {"LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "secret" * 6}


def test_more_pairs_are_read_when_a_key_is_changed() -> None:
    """As in the webhook-bridge; none of them is shown."""
    settings = load(IngestSettings, {**GOOD, **PAIR, "LIVEKIT_MORE_KEYS": "next:hidden"})
    assert tuple(settings.livekit_more_keys) == (("next", Secret("hidden")),)
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"LIVEKIT_MORE_KEYS": "next:hidden"}, "LIVEKIT_MORE_KEYS: goes beside LIVEKIT_API_KEY"),
        ({**PAIR, "LIVEKIT_MORE_KEYS": "key:hidden"}, "LIVEKIT_MORE_KEYS: names the key that"),
        ({**PAIR, "LIVEKIT_MORE_KEYS": "next:hidden,hidden"}, "LIVEKIT_MORE_KEYS: entry 2 must be key:secret"),
        ({"LIVEKIT_API_KEY": "key"}, "LIVEKIT_API_KEY and LIVEKIT_API_SECRET"),
    ],
)
def test_wrong_pairs_are_named_when_the_settings_are_read(given: dict[str, str], named: str) -> None:
    """By their names, never by what is in them."""
    with pytest.raises(SettingsError) as refused:
        load(IngestSettings, {**GOOD, **given})
    assert any(named in problem for problem in refused.value.problems), refused.value.problems
    assert not any("hidden" in problem for problem in refused.value.problems)
