"""Bytes to Structs and back, with one error for everything that can be wrong with bytes.

Owns decoding limits. Must not know any particular message.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec

T = TypeVar("T")

_MISSING: Final = re.compile(r"^Object missing required field `([^`]+)`$")
_UNKNOWN: Final = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_SHOWN_CHARACTERS: Final = 64
"""Of a field's name that somebody else made up."""
_NOT_LISTED: Final = re.compile(r"^Invalid enum value ")
_REFUSED: Final = re.compile(r"^([A-Za-z_]+) must ")


class ContractError(ValueError):
    """Bytes that don't hold the message they should.

    Attributes:
        field: Where the fault is, as a JSON path without the leading `$.` (`agentData.name`), or "" for the whole body.
        reason: What is wrong, in words, without the offending value.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field or 'body'}: {reason}")
        self.field = field
        self.reason = reason


def decode_json(data: bytes | bytearray, into: type[T], *, max_bytes: int) -> T:
    """Parse JSON into a Struct, unknown fields ignored.

    Raises:
        ContractError: too large, not UTF-8, not JSON, nested too deeply, or not of this shape.
    """
    check_size(data, max_bytes)
    return _decode(msgspec.json.decode, data, into)


def decode_msgpack(data: bytes | bytearray, into: type[T], *, max_bytes: int) -> T:
    """Parse msgpack into a Struct, unknown trailing elements ignored.

    Raises:
        ContractError: too large, not msgpack, or not of this shape.
    """
    check_size(data, max_bytes)
    return _decode(msgspec.msgpack.decode, data, into)


def check_size(data: bytes | bytearray | str, max_bytes: int) -> None:
    """Refuse data over a limit in bytes.

    Raises:
        ContractError: too large.
    """
    size = len(data.encode("utf-8", "surrogatepass")) if isinstance(data, str) else len(data)
    if size > max_bytes:
        raise ContractError("", f"is {size} bytes; at most {max_bytes} are accepted")


def encode_json(message: msgspec.Struct) -> bytes:
    """Write one message as JSON, fields in declared order."""
    return msgspec.json.encode(message)


def name_field(path: str, reason: str, into: Any = None) -> tuple[str, str]:
    """Which field a msgspec complaint is about, and the complaint.

    msgspec gives the path of the object that holds the field where one is missing, or where the object's own check
    refused it; those complaints name the field themselves.

    Args:
        path: A JSON path without the leading `$`, `.agentData.name` or `agentData.name`; "" for the whole body.
        reason: msgspec's message without its path.
        into: The type that was asked for; with it, a value that isn't one of a few is answered with those few.
    """
    path = path.removeprefix(".")
    if missing := _MISSING.match(reason):
        return f"{path}.{missing[1]}".removeprefix("."), "is required"
    if unknown := _UNKNOWN.match(reason):
        return f"{path}.{unknown[1][:_SHOWN_CHARACTERS]}".removeprefix("."), "is not a field that can be chosen here"
    if _NOT_LISTED.match(reason):  # msgspec goes on with the value itself
        accepted = _accepted(into, re.findall(r"[^.\[\]]+", path))
        return path, f"must be one of {', '.join(accepted)}" if accepted else "is not one of the accepted values"
    if refused := _REFUSED.match(reason):
        return f"{path}.{refused[1]}".removeprefix("."), reason
    return path, reason


def _accepted(annotation: Any, steps: list[str]) -> list[str]:
    """The literals that are accepted at the end of a path of field names and `...` within a type."""
    if get_origin(annotation) is Annotated:
        return _accepted(get_args(annotation)[0], steps)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct) and steps:
        found = [field.type for field in msgspec.structs.fields(annotation) if field.encode_name == steps[0]]
        return [value for each in found for value in _accepted(each, steps[1:])]
    if get_origin(annotation) is Literal:
        return [] if steps else [str(value) for value in get_args(annotation)]
    inner = steps[1:] if get_origin(annotation) in {tuple, list, dict} else steps
    return [value for each in get_args(annotation) for value in _accepted(each, inner)]


def _decode(decode: Any, data: bytes | bytearray, into: type[T]) -> T:
    try:
        result: T = decode(data, type=into)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).rpartition(" - at `")
        if not reason:
            reason, path = str(error), ""
        raise ContractError(*name_field(path.rstrip("`").removeprefix("$"), reason, into)) from None
    except msgspec.DecodeError as error:
        raise ContractError("", f"is malformed: {error}") from None
    except (UnicodeDecodeError, RecursionError) as error:  # depth 1e5 raises RecursionError (FACTS, msgspec)
        raise ContractError("", f"is malformed: {type(error).__name__}") from None
    return result
