"""Bytes from outside end as a message or as a `ContractError`; nothing else, whatever they are."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.golden_files import golden_json, golden_msgpack
from tests.contract.messages import BATCHES, MESSAGES

from meetai_contracts import api, approval, codec, events, room, schema, transcript
from meetai_contracts.codec import ContractError

DEEP = 100_000
JSON_MESSAGES = tuple(message for message in schema.MESSAGES if message is not transcript.TranscriptBatch)


def try_json(data: bytes) -> None:
    for message in JSON_MESSAGES:
        with contextlib.suppress(ContractError):
            codec.decode_json(data, message, max_bytes=1024 * 1024)


def try_batch(data: bytes) -> None:
    with contextlib.suppress(ContractError):
        transcript.decode_batch(data)


@given(st.binary(max_size=200))
def test_json_raises_one_error_when_bytes_are_arbitrary(data: bytes) -> None:
    """Over all messages."""
    try_json(data)


@given(st.binary(max_size=200))
def test_batch_raises_one_error_when_bytes_are_arbitrary(data: bytes) -> None:
    """A malformed entry must become a dead letter, never a crash."""
    try_batch(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=10,
    )
)
def test_json_raises_one_error_when_it_is_of_another_shape(value: object) -> None:
    """Well-formed JSON that is none of our messages; Python's own writer also writes NaN and lone surrogates."""
    try_json(json.dumps(value).encode())


@given(name=st.sampled_from(list(MESSAGES)), data=st.data())
def test_json_raises_one_error_when_a_message_was_damaged(name: str, data: st.DataObject) -> None:
    """A byte of a real message is replaced."""
    golden = bytearray(golden_json(name))
    golden[data.draw(st.integers(0, len(golden) - 1))] = data.draw(st.integers(0, 255))
    try_json(bytes(golden))


@given(name=st.sampled_from(list(BATCHES)), data=st.data())
def test_batch_raises_one_error_when_it_was_damaged(name: str, data: st.DataObject) -> None:
    """Some bytes of a real batch are replaced, and it is cut."""
    golden = bytearray(golden_msgpack(name))
    for _ in range(data.draw(st.integers(1, 3))):
        golden[data.draw(st.integers(0, len(golden) - 1))] = data.draw(st.integers(0, 255))
    try_batch(bytes(golden[: data.draw(st.integers(0, len(golden)))]))


@pytest.mark.parametrize(
    "data",
    [
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"data":' * DEEP + b"0" + b"}" * DEEP,
        b'{"v":1,"id":"a","name":"livekit/x","occurredAt":"2026-01-01T00:00:00Z","data":{"a":' + b"[" * DEEP,
        b'{"v":1,"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b"9" * 10_000,
        b'{"v":' + b"9" * 10_000 + b"}",
        b'{"v":1e999}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"v":"\\ud800"}',
        b'{"v":"\xed\xa0\x80"}',
        b"",
        b"null",
        b"{}{}",
    ],
)
def test_json_raises_one_error_when_it_is_an_attack(data: bytes) -> None:
    """Depth, huge numbers, wrong encodings, nothing, too much. A message without a required field may ignore an unknown one."""
    for message in JSON_MESSAGES:
        if any(field.required for field in msgspec.structs.fields(message)):
            with pytest.raises(ContractError):
                codec.decode_json(data, message, max_bytes=4 * 1024 * 1024)
        else:
            try_json(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * DEEP + b"\xc0",
        b"\x9b" + golden_msgpack("batch-lines")[1:] + b"\x91" * DEEP + b"\xc0\xc0",
        b"\xdd\xff\xff\xff\xff\x01",
        b"\xc7\xff\x00",
        b"\x99\x01\xa5lines",
        b"",
        b"\xc1",
    ],
)
def test_batch_raises_one_error_when_it_is_an_attack(data: bytes) -> None:
    """Depth, an array of four billion elements, an extension type, a cut."""
    with pytest.raises(ContractError):
        transcript.decode_batch(data)


@pytest.mark.parametrize("version", [0, 2, 255, 2**40])
@pytest.mark.parametrize("rest", [[], ["lines", 7], [{"all": "new"}]])
def test_batch_version_is_told_when_it_is_unknown(version: int, rest: list[object]) -> None:
    """Whatever else the future puts into it: such an entry is kept, not thrown away."""
    with pytest.raises(transcript.UnknownVersionError, match=str(version)):
        transcript.decode_batch(msgspec.msgpack.encode([version, *rest]))


def test_batch_version_is_not_blamed_when_another_element_is_wrong() -> None:
    """A bad batch of our own version is bad."""
    with pytest.raises(ContractError) as failure:
        transcript.decode_batch(msgspec.msgpack.encode([1, "lines", "m"]))
    assert not isinstance(failure.value, transcript.UnknownVersionError)


@pytest.mark.parametrize("version", [0, 2, "1", None, True])
def test_json_version_is_refused_when_it_is_not_ours(version: object) -> None:
    """By the field's name."""
    for name in ("room-metadata", "caption-final", "approval-request", "approval-approved", "domain-event"):
        changed = {**json.loads(golden_json(name)), "v": version}
        with pytest.raises(ContractError) as failure:
            codec.decode_json(json.dumps(changed).encode(), type(MESSAGES[name]), max_bytes=65_536)
        assert failure.value.field == "v"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b'{"userName":"Ann"}', "userId"),
        (b'{"userId":"u","userName":7}', "userName"),
        (b'{"userId":"","userName":"Ann"}', "userId"),
        (b'{"userId":"u","userName":"Ann","role":"secret-king"}', "role"),
        (b'{"userId":"u","userName":"Ann","agent":{"name":"C"}}', "agent.instructions"),
        (b'{"userId":"u","userName":"Ann","agent":{"name":" ","instructions":""}}', "agent.name"),
        (b'{"userId":"u","userName":"Ann","agent":{"name":"C","instructions":"","reply":"secret"}}', "agent.reply"),
        (b"[]", ""),
        (b"{", ""),
    ],
)
def test_field_is_named_without_its_value_when_a_request_is_wrong(data: bytes, field: str) -> None:
    """People who call an API need the name; logs must not have the value."""
    with pytest.raises(ContractError) as failure:
        codec.decode_json(data, api.TokenRequest, max_bytes=1024)
    assert failure.value.field == field
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("over", [0, 1])
def test_limit_is_exact_when_a_message_is_as_large_as_it_may_be(over: int) -> None:
    """The last byte that fits, and the first that doesn't."""
    padded = golden_json("room-metadata-least").ljust(room.MAX_METADATA_BYTES + over)
    if over:
        with pytest.raises(ContractError, match=f"{room.MAX_METADATA_BYTES + 1} bytes"):
            room.parse_room_metadata(padded.decode())
    else:
        room.parse_room_metadata(padded.decode())


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (transcript.MAX_CAPTION_BYTES, transcript.LiveTranscript),
        (approval.MAX_APPROVAL_BYTES, approval.ApprovalRequest),
        (events.MAX_EVENT_BYTES, events.DomainEvent),
    ],
)
def test_message_is_refused_unread_when_it_is_too_large(limit: int, message: type[msgspec.Struct]) -> None:
    """By its size, before a parser sees it."""
    with pytest.raises(ContractError, match=f"at most {limit}"):
        codec.decode_json(b"x" * (limit + 1), message, max_bytes=limit)


@pytest.mark.parametrize("field", ["text", "language", "identity", "name"])
def test_line_is_refused_when_any_text_of_it_holds_nul(field: str) -> None:
    """One such character would make PostgreSQL refuse the whole batch."""
    written = msgspec.msgpack.decode(golden_msgpack("batch-lines"))
    line = written[-1][0]
    holder, place = {"text": (line, 3), "language": (line, 6), "identity": (line[2], 0), "name": (line[2], 1)}[field]
    holder[place] = "a\0b"
    with pytest.raises(ContractError, match=f"{field} must not hold NUL"):
        transcript.decode_batch(msgspec.msgpack.encode(written))


def test_batch_is_refused_when_it_is_too_large() -> None:
    """When it is written, so that no producer sends what no consumer takes; and when it is read."""
    line = BATCHES["batch-lines"].lines[0]
    long = tuple(msgspec.structs.replace(line, seq=seq, text="x" * transcript.MAX_TEXT_BYTES) for seq in range(1, 18))
    batch = msgspec.structs.replace(BATCHES["batch-lines"], lines=long, last_seq=17, high_water=17)
    with pytest.raises(ContractError, match="at most"):
        transcript.encode_batch(batch)
    with pytest.raises(ContractError, match="at most"):
        transcript.decode_batch(msgspec.msgpack.encode(batch))


def test_ten_lines_fit_a_batch_when_they_are_as_long_as_they_may_be() -> None:
    """The agent flushes at ten lines."""
    line = BATCHES["batch-lines"].lines[0]
    text = "語" * (transcript.MAX_TEXT_BYTES // 3)
    speaker = transcript.Speaker(identity="i" * 1024, name="n" * 1024, kind="human")
    long = tuple(msgspec.structs.replace(line, seq=seq, text=text, speaker=speaker) for seq in range(1, 11))
    transcript.encode_batch(msgspec.structs.replace(BATCHES["batch-lines"], lines=long, last_seq=10, high_water=10))
