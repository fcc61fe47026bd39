"""Whatever is written is read back as it was, also by a version that knows less or more."""

from __future__ import annotations

import json
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.golden_files import golden_json, golden_msgpack
from tests.contract.messages import BATCHES, MESSAGES
from tests.contract.strategies import batches, json_messages, json_objects, names, room_metadata, token_requests

from meetai_contracts import api, codec, dead_letters, ledger, room, transcript

MAX_BYTES = 1024 * 1024
APPENDED = st.lists(st.none() | st.integers(0, 9) | st.text(max_size=5) | json_objects, min_size=1, max_size=3)


class LineOfBefore(msgspec.Struct, frozen=True, array_like=True):
    """`TranscriptLine` before it said what was heard (up to migration 0008)."""

    producer_id: UUID
    seq: int
    speaker: transcript.Speaker
    text: str
    started_ms: int
    ended_ms: int
    language: str | None = None
    confidence: float | None = None
    interrupted: bool = False


@given(json_messages)
def test_json_message_is_the_same_when_read_back(message: msgspec.Struct) -> None:
    """For every kind of message and every value that it may have."""
    assert codec.decode_json(codec.encode_json(message), type(message), max_bytes=MAX_BYTES) == message


@given(batches())
def test_batch_is_the_same_when_read_back(batch: transcript.TranscriptBatch) -> None:
    """And written again, it is the same bytes: a retry of a retry is no new entry."""
    data = transcript.encode_batch(batch)
    again = transcript.decode_batch(data)
    assert again == batch
    assert transcript.encode_batch(again) == data


@given(batches())
def test_batch_is_no_larger_than_foretold_when_it_is_written(batch: transcript.TranscriptBatch) -> None:
    """A producer that fills a batch up to the limit adds up its lines."""
    foretold = sum(transcript.encoded_line_bytes(line) for line in batch.lines)
    head = msgspec.structs.replace(batch, kind="gap", lines=()) if batch.lines else batch
    assert len(transcript.encode_batch(batch)) <= foretold + len(transcript.encode_batch(head)) + 8


@given(room_metadata)
def test_room_metadata_is_the_same_when_read_back(metadata: room.RoomMetadata) -> None:
    """As text, which is what LiveKit carries."""
    assert room.parse_room_metadata(room.write_room_metadata(metadata)) == metadata


@given(json_messages.filter(lambda message: not isinstance(message, api.TokenRequest)), json_objects)
def test_unknown_fields_do_no_harm_when_a_newer_version_writes(
    message: msgspec.Struct, extra: dict[str, object]
) -> None:
    """On every level of the message."""
    unknown = {f"x-{name}": value for name, value in extra.items()}
    written = json.loads(codec.encode_json(message))
    newer = _with_fields(written, unknown, keep=("data",))
    assert codec.decode_json(json.dumps(newer).encode(), type(message), max_bytes=MAX_BYTES) == message


@given(token_requests, names)
def test_unknown_field_is_refused_by_name_when_a_token_is_asked_for(request: api.TokenRequest, name: str) -> None:
    """Who asks for what nobody may choose must not get a token that says something else."""
    asked = {**json.loads(codec.encode_json(request)), f"x{name}": True}
    with pytest.raises(codec.ContractError) as refusal:
        codec.decode_json(json.dumps(asked).encode(), api.TokenRequest, max_bytes=MAX_BYTES)
    assert refusal.value.field == f"x{name}"[:64]


@pytest.mark.parametrize(
    ("asked", "into"),
    [
        ({"receivedFrom": "2026-11-02T09:00:00Z", "meeting": "nosuch"}, ledger.ReplayRequest),
        ({"meeting": "nosuch"}, dead_letters.RedriveRequest),
    ],
)
def test_unknown_field_is_refused_by_name_when_many_are_asked_for(
    asked: dict[str, str], into: type[msgspec.Struct]
) -> None:
    """A misspelt filter must not mean all."""
    with pytest.raises(codec.ContractError) as refusal:
        codec.decode_json(json.dumps(asked).encode(), into, max_bytes=MAX_BYTES)
    assert refusal.value.field == "meeting"


@given(batches(), APPENDED)
def test_appended_elements_do_no_harm_when_a_newer_version_writes(
    batch: transcript.TranscriptBatch, appended: list[object]
) -> None:
    """Array-like structs grow at their end only; on every level of the batch."""
    written = msgspec.msgpack.decode(transcript.encode_batch(batch))
    *head, lines = written
    newer_lines = [[*line[:2], [*line[2], *appended], *line[3:], *appended] for line in lines]
    newer = msgspec.msgpack.encode([*head, newer_lines, *appended])
    assert transcript.decode_batch(newer) == batch


@pytest.mark.parametrize("name", BATCHES)
def test_optional_elements_may_be_missing_when_an_older_version_writes(name: str) -> None:
    """Elements with a default at the end of a line or batch."""
    written = msgspec.msgpack.decode(golden_msgpack(name))
    *head, with_all = written
    older = [*head, [line[:6] for line in with_all]] if with_all else head
    read = transcript.decode_batch(msgspec.msgpack.encode(older))
    least = {"language": None, "confidence": None, "interrupted": False, "source": "microphone"}
    lines = tuple(msgspec.structs.replace(line, **least) for line in BATCHES[name].lines)
    assert read == msgspec.structs.replace(BATCHES[name], lines=lines)


def test_line_of_a_shared_screen_is_read_when_the_reader_knows_no_sources() -> None:
    """And a line as it was written before there were any is the microphone's: either side may be upgraded first."""
    (shared,) = BATCHES["batch-screen-share"].lines
    written = msgspec.msgpack.Encoder(uuid_format="bytes").encode(shared)
    of_before = msgspec.msgpack.decode(written, type=LineOfBefore)
    assert (of_before.text, of_before.interrupted) == (shared.text, shared.interrupted)
    from_before = msgspec.msgpack.Encoder(uuid_format="bytes").encode(of_before)
    read = msgspec.msgpack.decode(from_before, type=transcript.TranscriptLine)
    assert read == msgspec.structs.replace(shared, source="microphone")


@pytest.mark.parametrize("name", MESSAGES)
def test_message_is_the_same_when_null_stands_for_absent(name: str) -> None:
    """Some languages write every optional field."""
    message = MESSAGES[name]
    fields = msgspec.structs.fields(message)
    nulls = {field.encode_name: None for field in fields if field.default is None}
    newer = {**nulls, **json.loads(golden_json(name))}
    assert codec.decode_json(json.dumps(newer).encode(), type(message), max_bytes=MAX_BYTES) == message


def _with_fields(value: object, extra: dict[str, object], keep: tuple[str, ...]) -> object:
    """Add fields to every object, but not within fields that may hold any object."""
    if isinstance(value, dict):
        inner = {key: each if key in keep else _with_fields(each, extra, keep) for key, each in value.items()}
        return {**inner, **extra}
    if isinstance(value, list):
        return [_with_fields(each, extra, keep) for each in value]
    return value
