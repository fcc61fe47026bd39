"""What other programs read and write, byte for byte. A failing test here means that somebody else's program breaks."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from tests.contract.golden_files import GOLDEN, golden_json, golden_msgpack
from tests.contract.messages import BATCHES, MESSAGES

from meetai_contracts import codec, schema, transcript

SCHEMAS = Path(__file__).parents[2] / "libs" / "contracts" / "schema"


def schema_file(message: type) -> Path:
    return SCHEMAS / f"{message.__name__}.schema.json"


def test_every_message_has_an_example_when_it_is_in_the_contract() -> None:
    """Nothing that is published as JSON Schema goes without a golden file."""
    with_example = {type(message) for message in [*MESSAGES.values(), *BATCHES.values()]}
    assert set(schema.MESSAGES) == with_example


def test_every_golden_file_is_read_when_it_exists() -> None:
    """No file is left over from a message that is no more."""
    expected = {f"{name}.json" for name in MESSAGES} | {f"{name}.msgpack.hex" for name in BATCHES}
    assert {file.name for file in GOLDEN.iterdir()} == expected


@pytest.mark.parametrize("name", MESSAGES)
def test_json_is_these_bytes_when_a_message_is_written(name: str) -> None:
    """Object to golden bytes."""
    assert codec.encode_json(MESSAGES[name]) == golden_json(name)


@pytest.mark.parametrize("name", MESSAGES)
def test_message_is_this_object_when_json_is_read(name: str) -> None:
    """Golden bytes to object."""
    assert codec.decode_json(golden_json(name), type(MESSAGES[name]), max_bytes=65_536) == MESSAGES[name]


@pytest.mark.parametrize("name", BATCHES)
def test_msgpack_is_these_bytes_when_a_batch_is_written(name: str) -> None:
    """Object to golden bytes: a retry sends the same, and another version reads them."""
    assert transcript.encode_batch(BATCHES[name]) == golden_msgpack(name)


@pytest.mark.parametrize("name", BATCHES)
def test_batch_is_this_object_when_msgpack_is_read(name: str) -> None:
    """Golden bytes to object."""
    assert transcript.decode_batch(golden_msgpack(name)) == BATCHES[name]


@pytest.mark.parametrize("message", schema.MESSAGES, ids=lambda message: message.__name__)
def test_schema_file_is_current_when_the_code_is(message: type) -> None:
    """Run `python -m meetai_contracts.schema libs/contracts/schema` after changing a contract."""
    assert schema_file(message).read_bytes() == schema.schema_of(message)


def test_every_schema_file_has_its_message_when_it_exists() -> None:
    """No schema is left over."""
    assert set(SCHEMAS.iterdir()) == {schema_file(message) for message in schema.MESSAGES}


@pytest.mark.parametrize("name", MESSAGES)
def test_golden_json_is_valid_when_checked_against_its_schema(name: str) -> None:
    """As a consumer in another language would check it."""
    document = json.loads(schema_file(type(MESSAGES[name])).read_text())
    jsonschema.Draft202012Validator.check_schema(document)
    validator = jsonschema.Draft202012Validator(document, format_checker=jsonschema.FormatChecker())
    validator.validate(json.loads(golden_json(name)))
