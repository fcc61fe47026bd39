"""What several services are told is taken by all of them or by none: else one value in a chart stops one of them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from meetai_agent.settings import AgentSettings
from meetai_servicekit.settings import SettingsError, load
from meetai_token.settings import TokenSettings
from meetai_transcript_ingest.settings import IngestSettings
from meetai_webhook_bridge.settings import BridgeSettings

CLASSES: Final[tuple[type[Any], ...]] = (TokenSettings, BridgeSettings, IngestSettings, AgentSettings)


def takes(settings: type[Any], name: str, value: str) -> bool:
    """Whether a service has nothing against this value, whatever else it misses."""
    with pytest.raises(SettingsError) as missing:
        load(settings, {name: value})
    return all(problem.partition(":")[0] != name for problem in missing.value.problems)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("LIVEKIT_URL", ("ws://a:7880", "wss://a", "http://a:7880", "https://a"), ("a:7880", "ftp://a", "wss://")),
        ("AGENT_NAME", ("m", "m" * 64), ("m" * 65,)),
        ("TRANSCRIPT_STREAM_SHARDS", ("1", "256"), ("0", "257")),
    ],
)
def test_services_take_the_same_values(name: str, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    """At both ends of what is allowed."""
    told = [each for each in CLASSES if name.lower() in {field.name for field in msgspec.structs.fields(each)}]
    assert len(told) > 1
    for each in told:
        assert [value for value in good if not takes(each, name, value)] == []
        assert [value for value in bad if takes(each, name, value)] == []
