"""Cursors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_contracts.identifiers import MAX_UNIX_MS, SAFE_INTEGER
from meetai_transcript_ingest.domain.errors import BadCursorError
from meetai_transcript_ingest.domain.paging import MAX_CURSOR_CHARACTERS, Position, decode_cursor, encode_cursor

POSITIONS = st.builds(Position, st.integers(0, MAX_UNIX_MS), st.uuids(), st.integers(1, SAFE_INTEGER))


@given(POSITIONS)
def test_cursor_marks_the_same_place_when_it_comes_back(position: Position) -> None:
    """Any place survives, in characters that need no escaping in a URL."""
    cursor = encode_cursor(position)
    assert decode_cursor(cursor) == position
    assert len(cursor) <= MAX_CURSOR_CHARACTERS
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=200))
def test_cursor_is_refused_when_it_is_not_ours(text: str) -> None:
    """Whatever comes, there is one error; an encoding of ours is the only text that passes."""
    try:
        position = decode_cursor(text)
    except BadCursorError:
        return
    assert decode_cursor(encode_cursor(position)) == position


@pytest.mark.parametrize("cursor", ["", "AA", "é", "====", "kgGTAA", "x" * 10_000, "\0"])
def test_cursor_is_refused_when_it_is_damaged(cursor: str) -> None:
    """Empty, cut, not ASCII, or long."""
    with pytest.raises(BadCursorError):
        decode_cursor(cursor)
