"""Ids in paths and queries: any id that the contract allows can be addressed, also one with a slash.

ASGI servers decode `%2F` before routing, so `a%2Fb` would look like two segments. Routes are therefore matched on the
encoded path, and handlers decode their own parameters here.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from litestar.types import Scope

from meetai_contracts.identifiers import check_id
from meetai_servicekit.problems import InvalidFieldError


def keep_path_encoded(scope: Scope) -> None:
    """Give routing the path as it was sent. Call before the application sees the scope."""
    raw = scope.get("raw_path")
    if raw:
        scope["path"] = raw.partition(b"?")[0].decode("latin-1")


def meeting_id_from_path(segment: str) -> str:
    """The meeting id that a path segment names.

    Raises:
        InvalidFieldError: not UTF-8, or not acceptable as a meeting id.
    """
    return id_from_path(segment, "meetingId")


def id_from_path(segment: str, name: str) -> str:
    """The id that a path segment names; `name` is what errors call it.

    Raises:
        InvalidFieldError: not UTF-8, or not acceptable as an id.
    """
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise InvalidFieldError(name, f"{name} must be UTF-8") from None
    return _checked(text, name)


def id_from_query(text: str | None, name: str) -> str | None:
    """What a query's parameter, decoded, asks for: an id or a name of ours; None where it is absent.

    Raises:
        InvalidFieldError: not acceptable as an id.
    """
    return None if text is None else _checked(text, name)


def _checked(text: str, name: str) -> str:
    try:
        return check_id(text, name)
    except ValueError as error:
        raise InvalidFieldError(name, str(error)) from None
