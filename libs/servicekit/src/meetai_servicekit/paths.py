"""Meeting ids in paths: any id that the contract allows can be addressed, also one with a slash.

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
        return check_id(unquote_to_bytes(segment).decode(), name)
    except UnicodeDecodeError:
        raise InvalidFieldError(name, f"{name} must be UTF-8") from None
    except ValueError as error:
        raise InvalidFieldError(name, str(error)) from None
