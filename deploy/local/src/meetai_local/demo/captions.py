"""Captions as they arrive in the room.

Owns reading them off data packets and showing each final line. Must not believe a caption from anyone but the agent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from livekit import rtc
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from meetai_contracts.codec import ContractError
from meetai_contracts.transcript import LIVE_TOPIC, CaptionSpeaker, LiveTranscript, parse_live_transcript

_COLOURS: Final = ("cyan", "green", "magenta", "yellow", "blue", "red", "bright_cyan", "bright_magenta")


class HeardCaption(Struct, frozen=True):
    """A caption, and when it reached this participant (Unix milliseconds)."""

    arrived_ms: int
    caption: LiveTranscript


OnCaption = Callable[[HeardCaption], None]


def read_caption(packet: rtc.DataPacket, arrived_ms: int) -> HeardCaption | None:
    """The caption in a data packet; None if it is something else, or not from an agent.

    Raises:
        ContractError: from the agent and on the captions' topic, but not a caption.
    """
    sender = packet.participant
    if packet.topic != LIVE_TOPIC or sender is None or sender.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
        return None
    return HeardCaption(arrived_ms=arrived_ms, caption=parse_live_transcript(packet.data))


class CaptionLog:
    """Every caption that one participant has heard, in order of arrival."""

    def __init__(self, on_caption: OnCaption | None = None) -> None:
        self.captions: list[HeardCaption] = []
        self.unreadable = 0
        self._on_caption = on_caption

    def receive(self, packet: rtc.DataPacket, arrived_ms: int) -> None:
        """Keep the caption in a packet, if there is one."""
        try:
            heard = read_caption(packet, arrived_ms)
        except ContractError:
            self.unreadable += 1
            return
        if heard is not None:
            self.captions.append(heard)
            if self._on_caption is not None:
                self._on_caption(heard)


class CaptionPrinter:
    """Prints each final line in its speaker's colour, with the time since the meeting began."""

    def __init__(self, console: Console, colours: Mapping[str, str]) -> None:
        self._console = console
        self._colours = colours
        self._started_ms = 0

    def start(self, started_ms: int) -> None:
        """Count times from here (Unix milliseconds)."""
        self._started_ms = started_ms

    def show(self, heard: HeardCaption) -> None:
        """Print a final; interims are not shown, since a plain terminal can't take them back."""
        caption = heard.caption
        if caption.final:
            offset_ms = caption.started_ms - self._started_ms
            self._console.print(spoken_line(offset_ms, caption.speaker, caption.text, self._colours))


def speaker_colours(identities: Iterable[str]) -> dict[str, str]:
    """A colour for each speaker, the same in the captions and in the report."""
    return dict(zip(identities, itertools.cycle(_COLOURS), strict=False))


def spoken_line(offset_ms: int, speaker: CaptionSpeaker, text: str, colours: Mapping[str, str]) -> Text:
    """`00:07.4  Maya    Good morning …`, the name and the words in the speaker's colour."""
    minutes, seconds = divmod(max(0, offset_ms) / 1000, 60)
    colour = colours.get(speaker.identity, "white")
    return Text.assemble(
        (f"  {int(minutes):02}:{seconds:04.1f}  ", "dim"), (f"{speaker.name:8}", f"bold {colour}"), (text, colour)
    )
