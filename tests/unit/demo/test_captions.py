"""Which data packets are captions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import msgspec
from livekit import rtc
from tests.unit.demo import meetings

from meetai_contracts.transcript import LIVE_TOPIC
from meetai_local.demo.captions import CaptionLog, HeardCaption

AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
PERSON = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
CAPTION = meetings.captions()[0].caption


def _packet(data: bytes, *, topic: str = LIVE_TOPIC, kind: int | None = AGENT) -> rtc.DataPacket:
    sender = None if kind is None else SimpleNamespace(kind=kind)
    return rtc.DataPacket(
        data=data,
        kind=rtc.DataPacketKind.KIND_RELIABLE,
        participant=cast("rtc.RemoteParticipant | None", sender),
        topic=topic,
    )


def test_caption_is_kept_with_its_time_of_arrival() -> None:
    """And handed on at once."""
    shown: list[HeardCaption] = []
    log = CaptionLog(shown.append)
    log.receive(_packet(msgspec.json.encode(CAPTION)), arrived_ms=7)
    assert log.captions == shown == [HeardCaption(arrived_ms=7, caption=CAPTION)]


def test_packet_is_ignored_when_it_is_not_the_agents_caption() -> None:
    """Another topic, another participant who forges a caption, or nobody at all."""
    log = CaptionLog()
    data = msgspec.json.encode(CAPTION)
    for packet in (_packet(data, topic="chat"), _packet(data, kind=PERSON), _packet(data, kind=None)):
        log.receive(packet, arrived_ms=1)
    assert (log.captions, log.unreadable) == ([], 0)


def test_packet_is_counted_when_the_agent_sends_something_else() -> None:
    """A broken caption is not silently dropped."""
    log = CaptionLog()
    log.receive(_packet(b'{"v":1}'), arrived_ms=1)
    assert (log.captions, log.unreadable) == ([], 1)
