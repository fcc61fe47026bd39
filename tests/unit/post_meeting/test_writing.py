"""Fetch, summarise, store: which summary is stored, and what is said of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import httpx
import msgspec
import pytest
from tests.unit.post_meeting.talking import PRODUCER, lines

from meetai_contracts.api import Integrity, ProducerIntegrity, TranscriptPage
from meetai_contracts.summary import MeetingSummary
from meetai_post_meeting.engine import Engine
from meetai_post_meeting.errors import EngineAwayError, EngineRefusedError, ModelError
from meetai_post_meeting.turns import Turn
from meetai_post_meeting.writing import Summariser, WriteSummary

SILENT = UUID("0199f5a0-0000-7d00-8a3e-5f2b9c4d1e60")
BY_MODEL = MeetingSummary("A launch.", "model/m", (PRODUCER,))


class Ingest:
    """transcript-ingest's three routes, for one meeting.

    `fails` is the status of the route that it names, `miscoded` the route whose body isn't what its Content-Encoding says.
    """

    def __init__(self, *, empty: bool = False, fails: tuple[str, int] = ("", 0), miscoded: str = "") -> None:
        self.stored: list[MeetingSummary] = []
        self._empty = empty
        self._fails = fails
        self._miscoded = miscoded

    def __call__(self, request: httpx.Request) -> httpx.Response:
        resource = request.url.path.rpartition("/")[2]
        if resource == self._fails[0]:
            return httpx.Response(self._fails[1])
        if resource == self._miscoded:
            return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=_no_gzip())
        if resource == "summary":
            self.stored.append(msgspec.json.decode(request.content, type=MeetingSummary))
            return httpx.Response(201)
        producers = [_producer(PRODUCER, "RM_1"), _producer(SILENT, "RM_2"), _producer(UUID(int=9), "RM_before")]
        said = () if self._empty else tuple(lines())
        answer = (
            TranscriptPage(said, None)
            if resource == "transcript"
            else Integrity("standup", "complete", "", tuple(producers))
        )
        return httpx.Response(200, content=msgspec.json.encode(answer))

    def engine(self) -> Engine:
        return Engine(httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="http://ingest"))


async def _no_gzip() -> AsyncIterator[bytes]:
    """In pieces, so that httpx decodes it where it is read and not here."""
    yield b"no gzip"


def _producer(producer_id: UUID, room_sid: str) -> ProducerIntegrity:
    return ProducerIntegrity(producer_id, room_sid, 0, 0, 0, 0, (), closed=True)


class Model:
    """Answers, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.asked = 0
        self._fails = fails

    async def summarise(self, turns: Sequence[Turn], producer_ids: Sequence[UUID]) -> MeetingSummary:
        self.asked += 1
        if self._fails:
            raise ModelError("rubbish")
        return BY_MODEL


async def write(ingest: Ingest, model: Summariser | None = None) -> str:
    written = await WriteSummary(ingest.engine(), model)("standup", "RM_2")
    return written.written_by if written.stored else "nothing"


async def test_summary_is_the_models_when_it_answers() -> None:
    ingest = Ingest()
    assert await write(ingest, Model()) == "model/m"
    assert ingest.stored == [BY_MODEL]


@pytest.mark.parametrize("model", [Model(fails=True), None])
async def test_summary_is_by_rules_when_no_model_answers(model: Model | None) -> None:
    """Of the lines' producers, and of those that listened in this room and heard nothing; of no other room's."""
    ingest = Ingest()
    assert await write(ingest, model) == "extractive"
    assert ingest.stored[0].producer_ids == (PRODUCER, SILENT)


async def test_model_is_not_asked_when_nothing_was_said() -> None:
    """There is nothing that it could add."""
    model = Model()
    assert await write(Ingest(empty=True), model) == "extractive"
    assert model.asked == 0


@pytest.mark.parametrize(
    ("status", "raised"),
    [(503, EngineAwayError), (429, EngineAwayError), (403, EngineRefusedError), (413, EngineRefusedError)],
)
@pytest.mark.parametrize("resource", ["transcript", "integrity", "summary"])
async def test_caller_is_told_what_to_do_when_the_store_refuses(
    resource: str, status: int, raised: type[Exception]
) -> None:
    """Try again, or not."""
    with pytest.raises(raised):
        await write(Ingest(fails=(resource, status)))


@pytest.mark.parametrize("resource", ["transcript", "integrity", "summary"])
async def test_store_counts_as_away_when_its_answer_is_miscoded(resource: str) -> None:
    """What garbled it on the way may be gone the next time."""
    with pytest.raises(EngineAwayError):
        await write(Ingest(miscoded=resource))


@pytest.mark.parametrize(("resource", "status"), [("transcript", 410), ("summary", 410), ("summary", 409)])
async def test_it_is_over_when_the_meeting_is_gone(resource: str, status: int) -> None:
    """Erased, expired, or gone on meanwhile: nothing to be done, and no error."""
    assert await write(Ingest(fails=(resource, status))) == "nothing"
