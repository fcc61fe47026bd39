"""Service keys: read from a setting, found by what is presented, several at once."""

from __future__ import annotations

import hashlib
import hmac
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetai_servicekit.auth import ServiceKeys, new_service_key

SCOPES = frozenset({"tokens:host", "transcripts:read"})


def test_key_is_known_when_it_is_the_one_that_was_made() -> None:
    """`new_service_key` makes both halves."""
    secret, entry = new_service_key("crm", SCOPES)
    holder = ServiceKeys.parse_setting(entry).holder_of(secret)
    assert holder is not None
    assert (holder.name, holder.scopes) == ("crm", SCOPES)
    assert secret not in entry


def test_both_keys_are_known_when_one_replaces_the_other() -> None:
    """Rotation: old and new at once, under one name; then the old one goes."""
    old, old_entry = new_service_key("crm", SCOPES)
    new, new_entry = new_service_key("crm", SCOPES)
    both = ServiceKeys.parse_setting(f"{old_entry}, {new_entry}")
    assert both.holder_of(old)
    assert both.holder_of(new)
    after = ServiceKeys.parse_setting(new_entry)
    assert after.holder_of(old) is None
    assert after.holder_of(new)


@pytest.mark.parametrize("presented", ["", " ", "x", "\udcff", "0" * 64, "crm"])
def test_key_is_unknown_when_it_is_anything_else(presented: str) -> None:
    """Also its name or its digest."""
    secret, entry = new_service_key("crm", SCOPES)
    keys = ServiceKeys.parse_setting(entry)
    for attempt in (presented, f"{secret}{presented or 'x'}", secret[:-1], entry, entry.split(":")[1]):
        assert keys.holder_of(attempt) is None


@given(st.text(st.characters(max_codepoint=255)))
def test_key_is_unknown_when_it_is_guessed(presented: str) -> None:
    """Whatever a header may hold."""
    _, entry = new_service_key("crm", SCOPES)
    assert ServiceKeys.parse_setting(entry).holder_of(presented) is None


@pytest.mark.parametrize("matching", [0, 1, 2, None])
def test_every_key_is_compared_when_one_has_matched(matching: int | None) -> None:
    """By `compare_digest`, and to the end, so that time tells nothing."""
    made = [new_service_key(f"k{number}", SCOPES) for number in range(3)]
    keys = ServiceKeys.parse_setting(",".join(entry for _, entry in made))
    with patch("meetai_servicekit.auth.hmac.compare_digest", wraps=hmac.compare_digest) as compare:
        found = keys.holder_of(made[matching][0] if matching is not None else "nobody")
    assert compare.call_count == 3
    assert (found.name if found else None) == (f"k{matching}" if matching is not None else None)


GOOD = f"crm:{hashlib.sha256(b'x').hexdigest()}:tokens:host"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "crm",
        "crm:zz:tokens:host",
        GOOD.upper(),
        GOOD.replace("crm", ""),
        GOOD.replace("crm", "Crm"),
        GOOD.replace(":tokens:host", ""),
        GOOD.replace(":tokens:host", ":tokens"),
        GOOD.replace(":tokens:host", ":tokens:host+"),
        GOOD.replace(":tokens:host", ":tokens:host+x"),
        GOOD.replace(":tokens:host", ":tokens:*"),
        GOOD[:-20],
        f"{GOOD} {GOOD}",
    ],
)
def test_entry_is_refused_by_its_place_when_it_is_malformed(bad: str) -> None:
    """Its text may be the key itself, pasted where the digest belongs."""
    with pytest.raises(ValueError, match=r"^entry 2 must be ") as refusal:
        ServiceKeys.parse_setting(f"{GOOD},{bad}")
    assert len(bad) < 4 or bad not in str(refusal.value)


def test_entries_are_read_when_space_is_round_them() -> None:
    """YAML folds lines into spaces."""
    assert len(ServiceKeys.parse_setting(f" {GOOD} ,\n {GOOD} ").keys) == 2
