"""The search index on a real PostgreSQL: what is found, in which order, and what isn't any more."""

from __future__ import annotations

import pytest
from tests.integration.transcript_ingest.indexing import ANYWHERE, found, index_all, said, store, texts
from tests.unit.transcript_ingest.producing import SPOKEN_FROM_MS, Producer

from meetai_servicekit.postgres import Pool
from meetai_transcript_ingest.adapters.postgres_search import PostgresSearchIndex
from meetai_transcript_ingest.adapters.postgres_store import PostgresLineStore
from meetai_transcript_ingest.domain.search import SearchFilter, snippet


async def test_lines_are_found_when_they_hold_what_is_asked_for(pool: Pool, index: PostgresSearchIndex) -> None:
    """Words in any order, phrases in theirs, exclusions, alternatives; the newest first."""
    lines = ["the annual budget is due", "a budget that is annual", "the plan, annually", "nothing"]
    await store(pool, Producer(), *lines)
    await index_all(index)
    assert await texts(index, "annual budget") == [lines[1], lines[0]]
    assert await texts(index, '"annual budget"') == [lines[0]]
    assert await texts(index, "budget -due") == [lines[1]]
    assert await texts(index, 'budget -"that is annual"') == [lines[0]]
    assert await texts(index, "plan OR due") == [lines[2], lines[0]]
    assert await texts(index, "BUDGET nothing") == []
    assert await texts(index, "😀🤖") == []


@pytest.mark.parametrize(
    ("language", "text", "query", "is_found"),
    [
        ("en", "the deadlines moved", "deadline", True),
        ("en-GB", "the deadlines moved", "moving deadline", True),
        (None, "the deadlines moved", "deadline", False),
        ("tlh", "the deadlines moved", "deadlines", True),
        ("de", "die Häuser wurden verkauft", "haus", True),
        ("ru", "Обсудили ПЛАНЫ на год", "план", True),
        ("en", "to be or not to be", '"to be or not to be"', True),
        ("en", "to be or not to be", '"be to or"', False),
        ("ja", "次の会議は月曜日です", "会議", True),
        ("ja", "次の会議は月曜日です", "議会", False),
        ("he", "שלום עולם", "שלום", True),
        ("en", "write to ann@example.com", "example.com", True),
        ("en", "tag <b>bold</b> here", "bold", True),
        ("fr", "cafe\u0301 noir", "café", True),
    ],
)
async def test_word_is_found_in_all_its_forms_when_the_language_is_known(
    pool: Pool, index: PostgresSearchIndex, language: str | None, text: str, query: str, is_found: bool
) -> None:
    """By the line's own language, stop words included; in an unknown one as it is; unspaced scripts by their characters."""
    await store(pool, Producer(), text, language=language)
    await index_all(index)
    assert bool(await found(index, query)) == is_found
    if language is not None:
        assert bool(await found(index, query, SearchFilter(language=language.lower()))) == is_found


async def test_lines_are_found_when_they_are_within_the_filters(pool: Pool, index: PostgresSearchIndex) -> None:
    """Meeting, language range, speaker, and an interval that takes in its start and leaves out its end."""
    one, two = Producer("one"), Producer("two", from_ms=100_000)
    await PostgresLineStore(pool).commit(said(one, ("plan a", "en"), ("plan b", "en-GB"), ("plan c", None)), ())
    await PostgresLineStore(pool).commit(said(two, ("plan d", "eng"), ("plan e", "de")), ())
    await index_all(index)
    assert await texts(index, "plan", SearchFilter(meeting_id="one")) == ["plan c", "plan b", "plan a"]
    assert await texts(index, "plan", SearchFilter(meeting_id="' OR true --")) == []
    assert await texts(index, "plan", SearchFilter(language="en")) == ["plan b", "plan a"]
    assert await texts(index, "plan", SearchFilter(language="en-gb")) == ["plan b"]
    assert await texts(index, "plan", SearchFilter(speaker="user-2")) == ["plan e", "plan b"]
    interval = SearchFilter(from_ms=SPOKEN_FROM_MS + 2_000, to_ms=SPOKEN_FROM_MS + 101_000)
    assert await texts(index, "plan", interval) == ["plan c", "plan b"]


async def test_match_is_marked_when_the_text_holds_anything(pool: Pool, index: PostgresSearchIndex) -> None:
    """Markup stays text, right-to-left and emoji stay whole, forms of the word are marked."""
    lines = {
        "<script>alert('plans')</script>": "&lt;script&gt;alert(&#x27;<mark>plans</mark>&#x27;)&lt;/script&gt;",
        "👩‍👩‍👧‍👦 plan 👍🏽": "👩‍👩‍👧‍👦 <mark>plan</mark> 👍🏽",
        "הנה plan חדש": "הנה <mark>plan</mark> חדש",
        "x<b plan y>z & --> 1<2": "x&lt;b <mark>plan</mark> y&gt;z &amp; --&gt; 1&lt;2",
        "\ue000plan\ue001 here": "\ue000<mark>plan</mark>\ue001 here",
        "planning-planned/plan": "<mark>planning</mark>-<mark>planned</mark>/<mark>plan</mark>",
        "计划 plan": "计划 <mark>plan</mark>",
    }
    await store(pool, Producer(), *lines, language="en")
    await index_all(index)
    shown = {each.text: snippet(each.text, each.marked) for each in await found(index, "plan")}
    assert shown == lines


async def test_pages_hold_every_hit_once_when_lines_come_meanwhile(pool: Pool, index: PostgresSearchIndex) -> None:
    """Older lines follow, whatever newer ones come between; lines of one instant are told apart."""
    producers = [Producer(f"meeting {number}") for number in range(3)]
    for producer in producers:
        await store(pool, producer, *["plan"] * 5)
    await index_all(index)
    before = [each.place for each in await found(index, "plan")]
    seen, after = [], None
    late = Producer("late", from_ms=60_000)
    while True:
        findings = await index.search('"plan"', ANYWHERE, after, 4)
        seen += [each.place for each in findings.found]
        if (after := findings.last) is None:
            break
        await store(pool, late, "plan")
        await index_all(index)
    assert seen == before
    assert seen == sorted(seen, key=lambda place: (place.started_ms, place.producer_id, place.seq), reverse=True)
    assert len(await found(index, "plan")) > len(before)
