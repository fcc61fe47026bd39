"""How a query is read, how a hit is shown, and who may search."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from tests.unit.transcript_ingest.serving import (
    _OTHER,
    _READER,
    API_KEY,
    API_SECRET,
    NOW_SECONDS,
    OTHER_KEY,
    READER_KEY,
    participant_token,
)

from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.http import create_http_service
from meetai_servicekit.secret import Secret
from meetai_transcript_ingest.adapters.livekit_tokens import LiveKitParticipantTokens
from meetai_transcript_ingest.domain.errors import BadQueryError, TooSlowError, TryLaterError
from meetai_transcript_ingest.domain.paging import Position, encode_cursor
from meetai_transcript_ingest.domain.search import (
    LEAD_CHARACTERS,
    MARK_START,
    MARK_STOP,
    SNIPPET_CHARACTERS,
    Findings,
    IndexBacklog,
    SearchFilter,
    parse_query,
    snippet,
)
from meetai_transcript_ingest.http.search import search_routes
from meetai_transcript_ingest.usecases.search import SearchTranscripts

PLACE = Position(1_790_000_000_000, UUID(int=7), 3)


class RecordingIndex:
    """Finds nothing, and remembers what for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, SearchFilter, Position | None, int]] = []
        self.error = error

    async def search(self, query: str, wanted: SearchFilter, after: Position | None, limit: int) -> Findings:
        self.asked.append((query, wanted, after, limit))
        if self.error is not None:
            raise self.error
        return Findings(found=(), last=PLACE, indexed_through=datetime(2026, 11, 23, tzinfo=UTC))

    async def index_some(self, at_most: int) -> int:
        return 0

    async def sweep_some(self, at_most: int) -> int:
        return 0

    async def backlog(self) -> IndexBacklog:
        return IndexBacklog(0, 0.0)


@asynccontextmanager
async def searching(index: RecordingIndex, key: str | None = READER_KEY) -> AsyncIterator[httpx.AsyncClient]:
    keys = ServiceKeys.parse_setting(f"{_READER},{_OTHER}")
    tokens = LiveKitParticipantTokens({API_KEY: Secret(API_SECRET)}, now_seconds=lambda: NOW_SECONDS)
    routes = search_routes(SearchTranscripts(index), keys=keys, participants=tokens)
    app = create_http_service(title="test", routes=[routes], readiness={}, registry=CollectorRegistry())
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar narrows ASGI's types
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("annual budget", '"annual" "budget"'),
        ('"annual budget" -draft', '"annual budget" -"draft"'),
        ("“annual budget” or plan", '"annual budget" or "plan"'),
        ('-"not this" this', '-"not this" "this"'),
        ("ann@example.com TCP/IP", '"ann example com" "TCP IP"'),
        ("well-known -re-opened", '"well known" -"re opened"'),
        ("日本 -会議中 A会議", '"日 本" -"会 議 中" "A 会 議"'),
        ("budget OR", '"budget"'),
        ('"unclosed phrase', '"unclosed phrase"'),
        ("budget !!! & | <-> ( ) : *", '"budget"'),
        ("cafe\u0301", '"café"'),
        ("'; DROP TABLE lines; --", '"DROP" "TABLE" "lines"'),
    ],
)
def test_query_is_quoted_terms_when_it_is_read(raw: str, read: str) -> None:
    """Nothing of it but `-` and OR is syntax any more."""
    assert parse_query(raw) == read


@pytest.mark.parametrize(
    "raw", ["", " ", "-", '""', "!!!", "OR", "-budget", "plan OR -budget", "a\0b", "\ud800", "x" * 257]
)
def test_query_is_refused_when_nothing_can_be_looked_for(raw: str) -> None:
    """Empty, of punctuation alone, exclusions alone, unstorable, or too long."""
    with pytest.raises(BadQueryError):
        parse_query(raw)


@given(st.text())
def test_query_is_read_or_refused_when_it_is_anything(raw: str) -> None:
    """Only terms in quotation marks, `-` and `or`."""
    try:
        read = parse_query(raw)
    except BadQueryError:
        return
    assert re.fullmatch(r'-?"[^"]+"( (or )?-?"[^"]+")*', read)


def marked(text: str, *words: str) -> str:
    """What the store says where these are matches: punctuation as space, marks round them."""
    spaced = re.sub("[^\\w\U0001f300-\U0001ffff]", " ", text)
    for word in words:
        spaced = spaced.replace(word, f"{MARK_START}{word}{MARK_STOP}")
    return spaced


@pytest.mark.parametrize(
    ("text", "words", "shown"),
    [
        ("The plan, the plan!", ["plan"], "The <mark>plan</mark>, the <mark>plan</mark>!"),
        ("a <script>x</script> & b", ["script"], "a &lt;<mark>script</mark>&gt;x&lt;/<mark>script</mark>&gt; &amp; b"),
        ("say \"hi\" 'now'", ["hi"], "say &quot;<mark>hi</mark>&quot; &#x27;now&#x27;"),
        ("nothing to see", [], "nothing to see"),
        ("👩‍👩‍👧 שלום עולם", ["שלום"], "👩‍👩‍👧 <mark>שלום</mark> עולם"),
        ("turn \u202ethis\u202c round", ["round"], "turn this <mark>round</mark>"),
    ],
)
def test_snippet_marks_matches_when_text_holds_markup(text: str, words: list[str], shown: str) -> None:
    """Matches in `<mark>`; everything else as text."""
    assert snippet(text, marked(text, *words)) == shown


def test_snippet_joins_characters_when_a_script_has_no_spaces() -> None:
    """Two characters that match side by side are one match."""
    each = "".join(f" {MARK_START}{character}{MARK_STOP} " for character in "会議")
    assert snippet("は会議", f" は {each}") == "は<mark>会議</mark>"


def test_snippet_is_unmarked_when_the_store_read_the_text_otherwise() -> None:
    """Rather no mark than one in the wrong place."""
    assert snippet("the plan & more", f"the {MARK_START}plan{MARK_STOP} and more") == "the plan &amp; more"


def test_snippet_shows_the_match_when_the_line_is_long() -> None:
    """A part of the line, cut between words, with `…` at both ends."""
    text = "before " * 100 + "needle" + " after" * 100
    shown = snippet(text, marked(text, "needle"))
    assert re.fullmatch(r"…(before )+<mark>needle</mark>( after)+…", shown)
    assert len(shown) <= SNIPPET_CHARACTERS + len("……<mark></mark>")


@given(st.text(min_size=1, max_size=600), st.integers(0, 600), st.integers(1, 40))
def test_snippet_is_safe_when_the_text_is_anything(text: str, at: int, length: int) -> None:
    """No markup but the marks, and no more than there is room for."""
    text = text.replace(MARK_START, "").replace(MARK_STOP, "").replace("\0", "")
    spaced = "".join(character if character.isalnum() and character.isascii() else " " for character in text)
    where = spaced[:at] + MARK_START + spaced[at : at + length] + MARK_STOP + spaced[at + length :]
    shown = snippet(text, where)
    bare = shown.replace("<mark>", "").replace("</mark>", "")
    assert "<" not in bare
    assert ">" not in bare
    assert len(html.unescape(bare)) <= SNIPPET_CHARACTERS + LEAD_CHARACTERS + 2 or not text.isascii()


async def test_search_is_asked_for_when_every_parameter_is_given() -> None:
    """Instants become milliseconds, the first at or after them; the cursor goes on; the page says how new the index is."""
    index = RecordingIndex()
    async with searching(index) as client:
        response = await client.get(
            "/v1/search",
            params={
                "q": "plan",
                "meetingId": "q3/планёрка",
                "language": "en-GB",
                "speaker": "u-1",
                "from": "2026-11-23T01:00:00.0001+01:00",
                "to": "2026-11-23T01:00:00Z",
                "limit": 7,
                "cursor": encode_cursor(PLACE),
            },
        )
    assert response.status_code == 200
    assert response.json() == {"hits": [], "next": encode_cursor(PLACE), "indexedThrough": "2026-11-23T00:00:00Z"}
    midnight_ms = 1_795_392_000_000
    wanted = SearchFilter("q3/планёрка", "en-gb", "u-1", midnight_ms + 1, midnight_ms + 3_600_000)
    assert index.asked == [('"plan"', wanted, PLACE, 7)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "q"),
        ("q=", "q"),
        ("q=-a", "q"),
        ("q=%00", "q"),
        (f"q={'a' * 257}", "q"),
        ("q=a&limit=0", "limit"),
        ("q=a&limit=101", "limit"),
        ("q=a&limit=x", "limit"),
        ("q=a&cursor=x", "cursor"),
        ("q=a&meetingId=", "meetingId"),
        ("q=a&meetingId=%07", "meetingId"),
        ("q=a&language=*", "language"),
        ("q=a&language=en_US", "language"),
        ("q=a&speaker=", "speaker"),
        ("q=a&speaker=%00", "speaker"),
        ("q=a&from=yesterday", "from"),
        ("q=a&from=2026-11-23T00:00:00", "from"),
        ("q=a&to=1", "to"),
    ],
)
async def test_search_is_refused_when_a_field_is_bad(query: str, field: str) -> None:
    """400 that names it, before the index is asked."""
    index = RecordingIndex()
    async with searching(index) as client:
        response = await client.get(f"/v1/search?{query}")
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert not index.asked


@pytest.mark.parametrize(
    ("error", "word"), [(TooSlowError("slow"), "too long"), (TryLaterError("away"), "unavailable")]
)
async def test_search_is_put_off_when_the_index_cannot_answer(error: Exception, word: str) -> None:
    """503 with Retry-After; what would make it faster is said."""
    async with searching(RecordingIndex(error)) as client:
        response = await client.get("/v1/search?q=plan")
    assert (response.status_code, "Retry-After" in response.headers) == (503, True)
    assert word in response.json()["detail"]


@pytest.mark.parametrize(
    ("key", "query", "status"),
    [
        (None, "q=a", 401),
        ("wrong", "q=a", 401),
        (OTHER_KEY, "q=a", 403),
        (READER_KEY, "q=a", 200),
        (participant_token("standup"), "q=a&meetingId=standup", 200),
        (participant_token("standup"), "q=a", 403),
        (participant_token("standup"), "q=a&meetingId=other", 403),
        (participant_token("standup"), "q=a&meetingId=", 403),
        (participant_token("standup"), "q=a&meetingId=standup&meetingId=other", 403),
        (participant_token("standup"), "q=a&meetingId=other&meetingId=standup", 403),
        (participant_token("standup", exp=1), "q=a&meetingId=standup", 401),
    ],
    ids=[
        "nobody",
        "wrong key",
        "key without the scope",
        "key",
        "participant",
        "participant, of all",
        "participant, of another",
        "participant, of none",
        "participant, of another too",
        "participant, of another first",
        "participant, expired",
    ],
)
async def test_search_is_open_when_the_caller_may_read(key: str | None, query: str, status: int) -> None:
    """A key with the scope searches everything, a participant their own meeting and no other."""
    index = RecordingIndex()
    async with searching(index, key) as client:
        response = await client.get(f"/v1/search?{query}")
    assert response.status_code == status
    assert bool(index.asked) == (status == 200)
