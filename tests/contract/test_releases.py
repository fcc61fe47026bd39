"""What an earlier release wrote is read today, and what is written today an earlier release reads.

Replicas of both run at once during an upgrade, and a rollback finds what the newer ones left behind.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contract.golden_files import golden_json, golden_msgpack
from tests.contract.messages import BATCHES, MESSAGES
from tests.releases import Release, releases

from meetai_contracts import codec, transcript
from meetai_contracts.api import TokenRequest

RELEASES = pytest.mark.parametrize("release", releases(), ids=lambda release: release.version)
OLD_READER = Path(__file__).parent / "old_reader.py"


def json_files(release: Release) -> list[Path]:
    return sorted(release.golden.glob("*.json"))


def test_a_release_is_held_when_there_has_been_one() -> None:
    """The baseline; without it nothing here would be tested."""
    assert [release.version for release in releases()][:1] == ["0.1.0"]
    assert all(len(json_files(release)) > 20 for release in releases())


@RELEASES
def test_today_reads_what_was_said_when_an_earlier_release_wrote_json(release: Release) -> None:
    """Every field that it wrote means the same: written again, each is there with its value."""
    for file in json_files(release):
        message = codec.decode_json(file.read_bytes(), type(MESSAGES[file.stem]), max_bytes=1 << 20)
        lost = _lost(json.loads(file.read_bytes()), json.loads(codec.encode_json(message)))
        assert lost == [], file.name


@RELEASES
def test_today_reads_what_was_said_when_an_earlier_release_wrote_a_batch(release: Release) -> None:
    """Stream entries that were waiting while the service was upgraded, and what is in dead letters."""
    files = sorted(release.golden.glob("*.msgpack.hex"))
    assert len(files) >= 4
    for file in files:
        data = bytes.fromhex(file.read_text())
        written = codec_free(transcript.encode_batch(transcript.decode_batch(data)))
        assert _is_prefix(codec_free(data), written), file.name


@RELEASES
def test_earlier_release_reads_what_is_written_when_it_is_written_today(release: Release, tmp_path: Path) -> None:
    """By that release's own code, from its own wheels; with fields that nobody knows yet as well."""
    json_messages = [(name, type(MESSAGES[name]), golden_json(name)) for name in MESSAGES]
    given = {
        "json": [(name, kind.__name__, data) for name, kind, data in json_messages]
        + [
            (f"{name} with more", kind.__name__, _with_more(data))
            for name, kind, data in json_messages
            if kind is not TokenRequest  # the one that refuses what it doesn't know, on purpose
        ],
        "batches": [(name, golden_msgpack(name)) for name in BATCHES]
        + [(f"{name} with more", _with_more_at_the_end(golden_msgpack(name))) for name in BATCHES],
    }
    refused = json.loads(release.unpack(tmp_path).run(str(OLD_READER), given=msgspec.json.encode(given)))
    assert refused == []


def codec_free(data: bytes) -> Any:
    """A batch as the arrays that it is."""
    return msgspec.msgpack.decode(data)


def _lost(before: Any, after: Any, at: str = "") -> list[str]:
    """Where `after` lacks something of `before`, or says another thing."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [each for key, value in before.items() for each in _lost(value, after.get(key), f"{at}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [each for i, value in enumerate(before) for each in _lost(value, after[i], f"{at}[{i}]")]
    return [] if before == after else [at]


def _is_prefix(before: Any, after: Any) -> bool:
    """Whether arrays are the same but for what was added at their ends."""
    if isinstance(before, list) and isinstance(after, list):
        return len(before) <= len(after) and all(_is_prefix(a, b) for a, b in zip(before, after, strict=False))
    return bool(before == after)


def _with_more(data: bytes) -> bytes:
    def grown(value: Any, *, within: str = "") -> Any:
        if isinstance(value, list):
            return [grown(each) for each in value]
        if not isinstance(value, dict):
            return value
        grown_fields = {key: grown(each, within=key) for key, each in value.items()}
        return grown_fields if within in {"data", "checks"} else {**grown_fields, "fromTomorrow": {"x": [1]}}

    return json.dumps(grown(json.loads(data))).encode()


def _with_more_at_the_end(data: bytes) -> bytes:
    def grown(value: Any) -> Any:
        return [*(grown(each) for each in value), "from tomorrow"] if isinstance(value, list) else value

    batch = msgspec.msgpack.decode(data)
    lines = [grown(line) for line in batch[8]] if len(batch) > 8 else []
    return msgspec.msgpack.encode([*batch[:8], lines, "from tomorrow"])
