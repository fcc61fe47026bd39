"""The rule that turns the play into cue times, for every size of cast."""

from __future__ import annotations

import itertools

import pytest

from meetai_local.demo.cues import MAX_SPEAKERS, MIN_SPEAKERS, Plan, Utterance, plan_meeting
from meetai_local.speech import load_script

ALL_SIZES = range(MIN_SPEAKERS, MAX_SPEAKERS + 1)
FROM_THREE = range(3, MAX_SPEAKERS + 1)


def _plan(speakers: int) -> Plan:
    return plan_meeting(load_script(), speakers)


def _in_order(plan: Plan) -> list[Utterance]:
    return sorted((said for part in plan.parts for said in part.utterances), key=lambda said: said.starts_seconds)


def _overlaps_seconds(plan: Plan) -> list[float]:
    pairs = itertools.combinations(_in_order(plan), 2)
    return [min(a.ends_seconds, b.ends_seconds) - max(a.starts_seconds, b.starts_seconds) for a, b in pairs]


@pytest.mark.parametrize("speakers", ALL_SIZES)
def test_everyone_speaks_at_least_twice_and_breathes_between(speakers: int) -> None:
    """Each person has lines of their own, and 1.5 s of silence between them."""
    plan = _plan(speakers)
    assert len(plan.parts) == speakers
    assert len({part.member.identity for part in plan.parts}) == speakers
    for part in plan.parts:
        assert len(part.utterances) >= 2
        for before, after in itertools.pairwise(part.utterances):
            assert after.starts_seconds - before.ends_seconds >= 1.5 - 1e-6


@pytest.mark.parametrize("speakers", ALL_SIZES)
def test_meeting_ends_within_45_seconds(speakers: int) -> None:
    """The last word is said early enough for its caption."""
    assert _plan(speakers).ends_seconds <= 43.0


@pytest.mark.parametrize("speakers", FROM_THREE)
def test_people_talk_over_one_another_at_least_three_times(speakers: int) -> None:
    """Three overlaps of 1.5 s or more."""
    assert sum(overlap >= 1.5 for overlap in _overlaps_seconds(_plan(speakers))) >= 3


@pytest.mark.parametrize("speakers", FROM_THREE)
def test_one_joins_late_and_one_leaves_early(speakers: int) -> None:
    """One joins while others talk; another leaves after their last line, while there is more to be said."""
    plan = _plan(speakers)
    [late] = [part for part in plan.parts if part.joins_seconds > 0]
    [early] = [part for part in plan.parts if part.leaves_seconds is not None]
    assert late is not early
    assert plan.parts[0] not in {late, early}
    assert 3.0 <= late.joins_seconds <= late.utterances[0].starts_seconds - 2.0
    assert early.leaves_seconds is not None
    assert early.utterances[-1].ends_seconds < early.leaves_seconds < plan.ends_seconds - 3.0


@pytest.mark.parametrize("speakers", ALL_SIZES)
def test_no_line_is_said_twice(speakers: int) -> None:
    """Doubles of one voice share its lines, they don't repeat them."""
    texts = [said.line.text for said in _in_order(_plan(speakers))]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("speakers", [MIN_SPEAKERS - 1, MAX_SPEAKERS + 1])
def test_plan_is_refused_when_the_cast_is_too_small_or_too_large(speakers: int) -> None:
    """The error names the setting and its bounds."""
    with pytest.raises(ValueError, match="SPEAKERS must be 2 to 8"):
        _plan(speakers)
