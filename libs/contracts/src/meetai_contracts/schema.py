"""JSON Schema of every contract, for those who consume them from other languages.

`python -m meetai_contracts.schema FOLDER` writes one file a message. The committed copies are in `libs/contracts/schema`
and a test keeps them true.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Final

import msgspec

from meetai_contracts import api, approval, dead_letters, events, ledger, room, summary, transcript

MESSAGES: Final[tuple[type[msgspec.Struct], ...]] = (
    room.RoomMetadata,
    room.AgentStand,
    transcript.TranscriptBatch,
    transcript.LiveTranscript,
    approval.ApprovalRequest,
    approval.ApprovalReply,
    events.DomainEvent,
    events.RoomFinished,
    events.TranscriptCompleted,
    events.CalendarEventDecided,
    api.TokenRequest,
    api.TokenResponse,
    api.MeetingState,
    api.TranscriptPage,
    api.SearchPage,
    api.Integrity,
    api.LedgerPage,
    ledger.MeetingLife,
    ledger.ReplayRequest,
    ledger.Replayed,
    dead_letters.DeadLetterPage,
    dead_letters.DeadLetterContent,
    dead_letters.RedriveRequest,
    dead_letters.Redriven,
    summary.MeetingSummary,
    summary.StoredSummary,
    api.Problem,
)


def schema_of(message: type[msgspec.Struct]) -> bytes:
    """One message's JSON Schema (2020-12), indented, with a final newline."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(message)}
    return msgspec.json.format(msgspec.json.encode(schema, order="deterministic"), indent=2) + b"\n"


def write_schemas(folder: Path) -> None:
    """Write `<Message>.schema.json` for every message into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for message in MESSAGES:
        (folder / f"{message.__name__}.schema.json").write_bytes(schema_of(message))


if __name__ == "__main__":
    arguments = ArgumentParser(description="Write one JSON Schema a message.")
    arguments.add_argument("folder", type=Path)
    write_schemas(arguments.parse_args().folder)
