"""Answers that a client has already: ETag and If-None-Match (RFC 9110, sections 8.8.3 and 13.1.2).

A tag is the meeting's version, asked before its lines are read: a line that is committed in between makes the answer newer than
its tag, and the next request gets it again, never an older one. Weak, because such an answer may come under one tag in two
versions. A tag belongs to its URL, which has all else that an answer depends on.
"""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter

from meetai_transcript_ingest.domain.tail import Version

REPRESENTATION: Final = 1
"""To be raised when what is made of the same lines changes, so that nobody keeps the old form."""

IfNoneMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-None-Match", description="The `ETag` of an earlier answer from this URL: 304 if nothing has changed."
    ),
]
NOT_MODIFIED: Final = ResponseSpec(None, description="Nothing has changed since the answer with this `ETag`")
ETAG_HEADER: Final = ResponseHeader(
    name="ETag", description="Changes whenever the meeting's lines do", documentation_only=True
)


def entity_tag(version: Version) -> str:
    """The tag of whatever is made of a meeting's lines at this version."""
    return f'W/"{REPRESENTATION}-{version.position}-{version.producers}"'


def is_known(tag: str, if_none_match: str | None) -> bool:
    """Whether the client has what this tag stands for, by the weak comparison."""
    if if_none_match is None:
        return False
    opaque = tag.removeprefix("W/")
    return any(known.strip().removeprefix("W/") in {opaque, "*"} for known in if_none_match.split(","))


def caching(tag: str) -> dict[str, str]:
    """The headers of an answer that may be kept by its reader alone, and be asked for again before each use."""
    return {"ETag": tag, "Cache-Control": "private, no-cache"}


def not_modified(tag: str) -> Response[None]:
    """304."""
    return Response(None, status_code=304, headers=caching(tag))
