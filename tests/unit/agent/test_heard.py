"""What a recogniser says, made into lines that the contract takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_agent.domain.heard import storable_pieces
from meetai_contracts.transcript import MAX_TEXT_BYTES

SPACES = " \t\n\N{NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}"


@pytest.mark.parametrize("text", ["", " ", SPACES, "\n" * 40_000])
def test_there_is_no_line_when_nothing_but_space_was_heard(text: str) -> None:
    """Silence isn't a line."""
    assert storable_pieces(text) == []


def test_a_line_is_cleaned_when_it_holds_what_cannot_be_stored() -> None:
    """NUL and lone surrogates become U+FFFD; a pair of surrogates is the character it stands for."""
    assert storable_pieces(" a\0b\ud800c \ud83d\ude00 ") == ["a\ufffdb\ufffdc \N{GRINNING FACE}"]


def test_words_are_not_broken_when_a_text_is_too_long() -> None:
    """It is split at a space, and nothing but spaces goes."""
    words = [f"word{number}" for number in range(10_000)]
    pieces = storable_pieces(" ".join(words))
    assert len(pieces) > 1
    assert " ".join(pieces).split() == words


def test_a_word_is_broken_between_characters_when_it_alone_is_too_long() -> None:
    """16 KiB without a space: no character is cut in two."""
    text = "\N{GRINNING FACE}" * 10_000
    pieces = storable_pieces(text)
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= MAX_TEXT_BYTES for piece in pieces)


@given(
    st.lists(st.sampled_from(["a", " ", "\0", "\ud800", "\N{SNOWMAN}", "w" * 9_000, "\n", "\N{GRINNING FACE}" * 3_000]))
)
def test_every_piece_is_storable_when_any_text_is_heard(parts: list[str]) -> None:
    """Trimmed, never empty, within the limit, and together all that was said but spaces."""
    text = "".join(parts)
    pieces = storable_pieces(text)
    for piece in pieces:
        assert piece == piece.strip() != ""
        assert len(piece.encode()) <= MAX_TEXT_BYTES
        assert "\0" not in piece
    expected = text.replace("\0", "\ufffd").replace("\ud800", "\ufffd")
    assert "".join("".join(pieces).split()) == "".join(expected.split())
