"""A transcript page by page, and its proof: `GET …/transcript` and `GET …/integrity`."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter

from meetai_contracts.api import Integrity, TranscriptPage
from meetai_servicekit.paths import meeting_id_from_path
from meetai_transcript_ingest.domain.paging import DEFAULT_PAGE_LINES, MAX_PAGE_LINES
from meetai_transcript_ingest.http.specification import PROBLEMS
from meetai_transcript_ingest.usecases import ProveTranscript, ReadTranscript


def transcript_routes(read_transcript: ReadTranscript, prove_transcript: ProveTranscript) -> list[HTTPRouteHandler]:
    """The two routes, below a meeting's path."""

    @get(
        "/transcript",
        summary="Read what was said",
        description="Lines in the order in which they were spoken. `next` leads on to the next page and is null on the "
        "last. Going on gives every line that is stored by then and sorts after the cursor, once; a line that is stored "
        "later but was spoken earlier is found by reading again from the start. A meeting that nobody has heard of has "
        "no lines.",
        operation_id="ReadTranscript",
        responses=PROBLEMS,
    )
    async def transcript(
        meeting_id: FromPath[str],
        cursor: FromQuery[str | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE_LINES)] = DEFAULT_PAGE_LINES,
    ) -> Response[TranscriptPage]:
        page = await read_transcript(meeting_id_from_path(meeting_id), cursor=cursor, limit=limit)
        return Response(page, headers={"Cache-Control": "no-store"})

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
