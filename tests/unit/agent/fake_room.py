"""A room that a test plays: people come, share the sound of their screens, and leave."""

from __future__ import annotations

from types import SimpleNamespace

from livekit import rtc

HUMAN = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


class Someone:
    """What the SDK makes of a participant: one object for each stay."""

    def __init__(self, identity: str, *, name: str = "Maya", kind: int = HUMAN, sid: str = "") -> None:
        self.identity = identity
        self.name = name
        self.kind = kind
        self.sid = sid or f"PA_{identity}"
        self.track_publications: dict[str, SimpleNamespace] = {}


class FakeRoom(rtc.EventEmitter[str]):
    """The part of `rtc.Room` that a session uses."""

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, Someone] = {}

    def join(self, someone: Someone) -> None:
        self.remote_participants[someone.identity] = someone
        self.emit("participant_connected", someone)

    def share_sound(self, someone: Someone) -> None:
        publication = SimpleNamespace(source=rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO)
        someone.track_publications["TR_share"] = publication
        self.emit("track_published", publication, someone)

    def leave(self, someone: Someone) -> None:
        del self.remote_participants[someone.identity]
        self.emit("participant_disconnected", someone)
