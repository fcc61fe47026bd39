"""Who may read a meeting's transcript: a service key with `transcripts:read`, or a participant's own LiveKit token.

Owns 401 and 403, which are given before anything is read from the store: what they say, and when, is the same whether the
meeting exists or not. Must not know how a token is signed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard
from msgspec import Struct

from meetai_servicekit.auth import ServiceKeys, bearer_token, unauthorised
from meetai_transcript_ingest.ports import MAX_PARTICIPANT_TOKEN_BYTES, ParticipantTokens

READ_SCOPE: Final = "transcripts:read"


class Reader(Struct, frozen=True):
    """A caller who isn't a service key, as logs call it."""

    name: str


PARTICIPANT: Final = Reader("participant")
"""One name for all: who reads what is the application's to know, and no identity belongs in a log."""


def may_read(keys: ServiceKeys, participants: ParticipantTokens | None) -> Guard:
    """A guard: 401 without a credential that is known, 403 with one that doesn't open this meeting's transcript."""
    return _may(keys, participants, _asked_for)


def may_search(keys: ServiceKeys, participants: ParticipantTokens | None) -> Guard:
    """As `may_read`, where the query names the meeting, once; without it service keys alone may search."""
    return _may(keys, participants, _searched)


def _may(
    keys: ServiceKeys,
    participants: ParticipantTokens | None,
    asked_for: Callable[[ASGIConnection[Any, Any, Any, Any]], str | None],
) -> Guard:
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        credential = bearer_token(connection.scope, max_bytes=MAX_PARTICIPANT_TOKEN_BYTES)
        key = keys.holder_of(credential)
        if key is not None:
            if READ_SCOPE not in key.scopes:
                raise PermissionDeniedException(detail=f"This key lacks the scope {READ_SCOPE}.")
            connection.scope["auth"] = key
            return
        pass_ = participants.pass_of(credential) if participants is not None else None
        if pass_ is None:
            raise unauthorised()
        if pass_.meeting_id is None or pass_.meeting_id != asked_for(connection):
            raise PermissionDeniedException(detail="This token doesn't open this transcript.")
        connection.scope["auth"] = PARTICIPANT

    return guard


def _asked_for(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The meeting that the path names; None for bytes that name none."""
    try:
        return unquote(connection.path_params["meeting_id"], errors="strict")
    except UnicodeDecodeError:
        return None


def _searched(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The meeting that the query names; None where it names none, or more than one."""
    named = connection.query_params.getall("meetingId", [])
    return named[0] if len(named) == 1 else None
