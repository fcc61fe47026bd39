"""A meeting's summary: `PUT` by a key with `transcripts:summarise`, `GET` by whoever may read the transcript."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from litestar import Request, Response, Router, get, put
from litestar.exceptions import NotFoundException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, HeaderParameter

from meetai_contracts.api import FieldError
from meetai_contracts.summary import MAX_SUMMARY_BYTES, MeetingSummary, StoredSummary
from meetai_servicekit.auth import ServiceKeys, requires_scope
from meetai_servicekit.paths import meeting_id_from_path
from meetai_servicekit.problems import (
    UnavailableError,
    described_problems,
    from_unavailable,
    keyed_problems,
    problem_response,
)
from meetai_transcript_ingest.domain.errors import ChangedError, ErasedError, OtherProducersError, TryLaterError
from meetai_transcript_ingest.domain.summaries import tag_of
from meetai_transcript_ingest.http.access import may_read
from meetai_transcript_ingest.http.conditional import (
    ETAG_HEADER,
    NOT_MODIFIED,
    IfNoneMatch,
    caching,
    is_known,
    not_modified,
)
from meetai_transcript_ingest.http.specification import ERASED, PROBLEMS
from meetai_transcript_ingest.ports import ParticipantTokens, Summaries

SUMMARISE_SCOPE: Final = "transcripts:summarise"

IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", description="The `ETag` of the summary that this one replaces; `*` for any."),
]
IfNoneStored = Annotated[
    str | None,
    HeaderParameter(
        name="If-None-Match", description="The `ETag` of a summary that isn't to be replaced; `*` for any."
    ),
]


def summary_routes(summaries: Summaries, *, keys: ServiceKeys, participants: ParticipantTokens | None) -> Router:
    """The two routes."""

    @get(
        "/",
        summary="Read what a meeting came to",
        description="404 where nobody has written a summary. It is written after the meeting; see "
        "`meetai/transcript.completed`.",
        operation_id="ReadSummary",
        guards=[may_read(keys, participants)],
        response_headers=[ETAG_HEADER],
        responses={
            304: NOT_MODIFIED,
            **PROBLEMS,
            **ERASED,
            **described_problems({404: "There is no summary"}),
        },
    )
    async def read_summary(meeting_id: FromPath[str], if_none_match: IfNoneMatch = None) -> Response[StoredSummary]:
        stored = await summaries.get(meeting_id_from_path(meeting_id))
        if stored is None:
            raise NotFoundException(detail="This meeting has no summary.")
        tag = tag_of(stored)
        if is_known(tag, if_none_match):
            return cast("Response[StoredSummary]", not_modified(tag))
        return Response(stored, headers=caching(tag))

    @put(
        "/",
        status_code=204,
        summary="Store what a meeting came to",
        description="Replaces the one before; the same again changes nothing. 201: the meeting had none, 204: it had. The last "
        "writer wins, but for one who says by `If-Match` what is to be replaced, or by `If-None-Match: *` that nothing is. The summary goes with the lines that it was "
        "made of: with the oldest of them at the end of the retention, and with an erasure.",
        operation_id="StoreSummary",
        guards=[requires_scope(keys, SUMMARISE_SCOPE)],
        request_max_body_size=MAX_SUMMARY_BYTES,
        responses={
            201: ResponseSpec(None, description="Stored, the meeting's first; `ETag` is of this one"),
            204: ResponseSpec(None, description="Stored in place of the one before; `ETag` is of this one"),
            **keyed_problems(
                SUMMARISE_SCOPE,
                {
                    409: "`producerIds` names producers that this meeting doesn't have, or not any more; or none, where it has some",
                    410: "What it was made of is erased",
                    412: "What is stored isn't what `If-Match` names, or is what `If-None-Match` names",
                    413: f"More than {MAX_SUMMARY_BYTES // 1024} KiB",
                },
            ),
        },
    )
    async def store_summary(
        meeting_id: FromPath[str], data: MeetingSummary, if_match: IfMatch = None, if_none_match: IfNoneStored = None
    ) -> Response[None]:
        stored, is_new = await summaries.put(
            meeting_id_from_path(meeting_id), data, if_match=if_match, if_none_match=if_none_match
        )
        return Response(None, status_code=201 if is_new else 204, headers={"ETag": tag_of(stored)})

    return Router(
        "/v1/meetings/{meeting_id:str}/summary",
        route_handlers=[read_summary, store_summary],
        security=[{"bearer": []}],
        tags=["summaries"],
        exception_handlers={
            ChangedError: _changed,
            ErasedError: _erased,
            TryLaterError: _store_away,
            OtherProducersError: _other_producers,
        },
    )


def _changed(_request: Request[Any, Any, Any], _error: ChangedError) -> Response[bytes]:
    return problem_response(412, "What is stored isn't what If-Match names, or is what If-None-Match names.")


def _erased(_request: Request[Any, Any, Any], _error: ErasedError) -> Response[bytes]:
    return problem_response(410, "This meeting was erased on request.")


def _store_away(request: Request[Any, Any, Any], _error: TryLaterError) -> Response[bytes]:
    return from_unavailable(request, UnavailableError("The transcript store"))


def _other_producers(_request: Request[Any, Any, Any], error: OtherProducersError) -> Response[bytes]:
    return problem_response(409, "The summary is of other lines.", errors=(FieldError("producerIds", str(error)),))
