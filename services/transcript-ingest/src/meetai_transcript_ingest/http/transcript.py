"""A transcript page by page, and its proof: `GET …/transcript` and `GET …/integrity`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter

from meetai_contracts.api import Integrity, TranscriptPage
from meetai_contracts.approval import Zoned
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import InvalidFieldError
from meetai_transcript_ingest.domain.paging import DEFAULT_PAGE_LINES, MAX_PAGE_LINES
from meetai_transcript_ingest.http.conditional import (
    ETAG_HEADER,
    NOT_MODIFIED,
    IfNoneMatch,
    caching,
    entity_tag,
    is_known,
    not_modified,
)
from meetai_transcript_ingest.http.specification import ERASED, PROBLEMS
from meetai_transcript_ingest.usecases import ProveTranscript, ReadTranscript

UpdatedAfter = Annotated[
    str | None,
    QueryParameter(
        description="An RFC 3339 instant: only lines that were committed then or later, or up to 30 s before, because a line is "
        "dated by the start of its transaction. `+` has to be sent as `%2B`.",
        schema_extra={"format": "date-time"},
    ),
]


def transcript_routes(read_transcript: ReadTranscript, prove_transcript: ProveTranscript) -> list[HTTPRouteHandler]:
    """The two routes, below a meeting's path."""

    @get(
        "/transcript",
        summary="Read what was said",
        description="Lines in the order in which they were spoken. `next` leads on to the next page and is null on the "
        "last. Going on gives every line that is stored by then and sorts after the cursor, once; a line that is stored "
        "later but was spoken earlier is found by reading again from the start. A meeting that nobody has heard of has "
        "no lines. To keep a copy up to date, read with the greatest `committedAt` of your lines as `updated_after`, to the last "
        "page: you get every line that you lack, wherever it belongs, and lines of half a minute that you have; `id` tells "
        "them apart.",
        operation_id="ReadTranscript",
        response_headers=[ETAG_HEADER],
        responses={304: NOT_MODIFIED, **PROBLEMS, **ERASED},
    )
    async def transcript(
        meeting_id: FromPath[str],
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE_LINES)] = DEFAULT_PAGE_LINES,
        updated_after: UpdatedAfter = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response[TranscriptPage]:
        meeting = meeting_id_from_path(meeting_id)
        since = None if updated_after is None else _instant(updated_after)
        tag = entity_tag(await read_transcript.version(meeting))
        if is_known(tag, if_none_match):
            return cast("Response[TranscriptPage]", not_modified(tag))
        page = await read_transcript(meeting, cursor=cursor, limit=limit, updated_after=since)
        return Response(page, headers=caching(tag))

    @get(
        "/integrity",
        summary="Is it all that was said?",
        description="The verdict by what every producer (an agent's job) declared. A meeting that nobody has heard of is "
        "`unproven` rather than 404: whether its first line is still on its way can't be known, and the question has an "
        "answer all the same.",
        operation_id="ProveTranscript",
        responses=PROBLEMS,
    )
    async def integrity(meeting_id: FromPath[str]) -> Response[Integrity]:
        verdict = await prove_transcript(meeting_id_from_path(meeting_id))
        return Response(verdict, headers={"Cache-Control": "no-store"})

    return [transcript, integrity]


def _instant(text: str) -> datetime:
    try:
        instant = msgspec.convert(text, Zoned)
    except msgspec.ValidationError:
        raise InvalidFieldError("updated_after", "must be an RFC 3339 instant with its offset") from None
    return instant
