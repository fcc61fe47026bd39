"""Which ids, names and texts are accepted, at their limits."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.strategies import ids, names

from meetai_contracts.identifiers import BIDI_CONTROLS, check_id, check_name, clean_text

ZWJ, ZWNJ = "\u200d", "\u200c"
FAMILY = f"👩{ZWJ}👩{ZWJ}👧"


@pytest.mark.parametrize(
    "value",
    [
        "a",
        " ",
        "/",
        "a/b",
        "..",
        "%2F",
        "'; drop table",
        "é",
        "😀",
        "\U0001d4b3",
        "a" * 256,
        "é" * 128,
        "語" * 85 + "a",
        "😀" * 64,
        "نص",
        "\U000e0100",
    ],
)
def test_id_is_accepted_when_within_the_rules(value: str) -> None:
    """Any text is data; 256 bytes, not characters."""
    assert check_id(value, "id") == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a" * 257,
        "é" * 129,
        "語" * 86,
        "😀" * 65,
        "e\u0301",
        "\u212b",
        "\0",
        "a\n",
        "\x7f",
        "\x85",
        f"a{ZWJ}b",
        FAMILY,
        "\ufeff",
        "\u00ad",
        "\ud800",
        "a\udc00",
    ],
)
def test_id_is_refused_when_outside_the_rules(value: str) -> None:
    """Empty, too long, not in NFC, control, format, surrogate."""
    with pytest.raises(ValueError, match=r"^userId must "):
        check_id(value, "userId")


@pytest.mark.parametrize("character", sorted(BIDI_CONTROLS))
@pytest.mark.parametrize("check", [check_id, check_name])
def test_bidi_control_is_refused_when_in_an_id_or_name(character: str, check: object) -> None:
    """Text that looks like other text, anywhere in it."""
    for value in (character, f"a{character}", f"{character}a"):
        with pytest.raises(ValueError, match=f"U\\+{ord(character):04X}"):
            check(value, "name")  # type: ignore[operator]  # both have the same signature


@pytest.mark.parametrize("value", ["Ann", FAMILY, f"نامه{ZWNJ}ای", "O'Brien", "a" * 256, " a "])
def test_name_is_accepted_when_it_needs_joiners(value: str) -> None:
    """Persian names and emoji families are spelt with them."""
    assert check_name(value, "name") == value


@pytest.mark.parametrize("value", ["", " ", "\u00a0\u3000", "a\n", "\ud800", "e\u0301", "a" * 257])
def test_name_is_refused_when_it_says_nothing_or_too_much(value: str) -> None:
    """Blank, control, not NFC, too long."""
    with pytest.raises(ValueError, match=r"^name must "):
        check_name(value, "name")


@given(ids)
def test_id_is_returned_as_it_was_when_accepted(value: str) -> None:
    """Never repaired: a repaired id is another id."""
    assert check_id(value, "id") is value


@given(names)
def test_name_is_returned_as_it_was_when_accepted(value: str) -> None:
    """Nor is a name."""
    assert check_name(value, "name") is value


@given(st.text(max_size=300))
def test_id_is_accepted_exactly_when_the_rules_say_so(value: str) -> None:
    """The rules of DESIGN once more, written as slowly as possible; the message never has the value."""
    encodable = not any(unicodedata.category(character) == "Cs" for character in value)
    allowed = (
        encodable
        and 1 <= len(value.encode()) <= 256
        and unicodedata.normalize("NFC", value) == value
        and not any(unicodedata.category(character) in {"Cc", "Cf"} for character in value)
    )
    if allowed:
        check_id(value, "id")
        return
    with pytest.raises(ValueError, match=r"^id must ") as refusal:
        check_id(value, "id")
    assert len(value) < 3 or value not in str(refusal.value)


@given(st.text(st.characters(), max_size=50))
def test_text_is_storable_when_cleaned(text: str) -> None:
    """No NUL, encodable, as long as before, and clean when cleaned again."""
    cleaned = clean_text(text)
    cleaned.encode()
    assert "\0" not in cleaned
    assert clean_text(cleaned) == cleaned
    if "\0" not in text and not any(unicodedata.category(character) == "Cs" for character in text):
        assert cleaned == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\0b", "a\ufffdb"),
        ("a\ud800", "a\ufffd"),
        ("\udc00a", "\ufffda"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("😀\ud83d", "😀\ufffd"),
        ("\0\ud800\0", "\ufffd\ufffd\ufffd"),
    ],
)
def test_text_has_replacements_when_it_held_what_cannot_be_stored(text: str, cleaned: str) -> None:
    """NUL and lone halves; two halves that belong together are one character."""
    assert clean_text(text) == cleaned
