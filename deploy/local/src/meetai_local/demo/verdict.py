"""Whether a meeting was kept as promised: each promise, what was measured, and the limit.

Owns the limits. Pure: what happened and what is stored go in, a verdict comes out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from meetai_contracts.api import Integrity, StoredLine
from meetai_contracts.events import RoomFinished
from meetai_contracts.summary import StoredSummary
from meetai_local.demo.measure import (
    Latencies,
    SpeakerErrors,
    caption_latencies,
    commit_latencies,
    live_differences,
    misattributed,
    speaker_errors,
)
from meetai_local.demo.meeting import MeetingResult
from meetai_local.demo.outcome import Outcome

MAX_WORD_ERROR_RATE: Final = 0.05
"""Over all speakers. Whisper tiny.en makes 0 % on these recordings (`make_speech --check`)."""
MAX_SPEAKER_WORD_ERROR_RATE: Final = 0.10
"""Each speaker against their own reference: somebody else's sentence in it would be 25 % at least."""
MAX_CAPTION_SECONDS: Final = (2.5, 5.0)
"""p50, p95. Of it 0.4 s is the silence that ends an utterance, about 0.5 s the recogniser on a free core."""
MAX_COMMIT_SECONDS: Final = (4.0, 10.0)
"""p50, p95. A line waits in the agent's buffer for up to 3 s (DESIGN, agent); p95 leaves room for one service's restart."""

_STARTED_BEFORE_JOIN: Final = timedelta(seconds=30)
_ENDED_AFTER_LEAVE: Final = timedelta(seconds=40)  # departure_timeout, 20 s by default, and LiveKit's own rounds
_CLOCK_SLACK: Final = timedelta(seconds=1.5)  # a webhook's createdAt has whole seconds


class Check(Struct, frozen=True):
    """One promise.

    Attributes:
        measured: What was found, in a few words.
        limit: What would have been good enough.
    """

    name: str
    passed: bool
    measured: str
    limit: str


class Verdict(Struct, frozen=True):
    """All promises, and the stored transcript they are about."""

    checks: tuple[Check, ...]
    lines: tuple[StoredLine, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that failed; empty if the meeting was kept as promised."""
        return tuple(check.name for check in self.checks if not check.passed)


def judge(result: MeetingResult, outcome: Outcome, *, receiver: str = "Inngest") -> Verdict:
    """Hold what is stored against what was said and heard; `receiver` is what took the events."""
    errors = speaker_errors(result.said, outcome.lines)
    return Verdict(
        checks=(
            _words(errors),
            _words_of_each(errors),
            _live(result, outcome),
            _attribution(result, outcome),
            _integrity(outcome.integrity, outcome.problem),
            _event(result, outcome, receiver),
            *([_approval(result, outcome, receiver)] if result.proposed else []),
            _latency("speech to caption", caption_latencies(result.said, result.captions), MAX_CAPTION_SECONDS),
            _latency("caption to commit", commit_latencies(result.captions, outcome.lines), MAX_COMMIT_SECONDS),
        ),
        lines=outcome.lines,
    )


def with_summary(verdict: Verdict, summary: StoredSummary | None) -> Verdict:
    """The verdict with one promise more: what comes after the meeting has come to its end."""
    if summary is None:
        check = Check(name="summary", passed=False, measured="none", limit="written and stored")
    else:
        parts = f"{len(summary.decisions)} decided, {len(summary.action_items)} to do, {len(summary.notes)} noted"
        check = Check(name="summary", passed=True, measured=parts, limit="written and stored")
    return Verdict(checks=(*verdict.checks, check), lines=verdict.lines)


def _words(errors: tuple[SpeakerErrors, ...]) -> Check:
    words, wrong = sum(speaker.words for speaker in errors), sum(speaker.errors for speaker in errors)
    rate = wrong / max(1, words)
    return Check(
        name="word error rate",
        passed=words > 0 and rate <= MAX_WORD_ERROR_RATE,
        measured=f"{rate:.1%} ({wrong} of {words} words)",
        limit=f"≤ {MAX_WORD_ERROR_RATE:.0%}",
    )


def _words_of_each(errors: tuple[SpeakerErrors, ...]) -> Check:
    return Check(
        name="each speaker's",
        passed=all(speaker.rate <= MAX_SPEAKER_WORD_ERROR_RATE for speaker in errors),
        measured=" · ".join(f"{speaker.name} {speaker.rate:.0%}" for speaker in errors),
        limit=f"≤ {MAX_SPEAKER_WORD_ERROR_RATE:.0%}",
    )


def _live(result: MeetingResult, outcome: Outcome) -> Check:
    differences = live_differences(result.captions, outcome.lines)
    if result.unreadable_captions:
        differences += (f"{result.unreadable_captions} captions were unreadable",)
    return Check(
        name="live = stored",
        passed=bool(outcome.lines) and not differences,
        measured=_first_of(differences) or f"{len(outcome.lines)} lines, all the same",
        limit="line by line",
    )


def _attribution(result: MeetingResult, outcome: Outcome) -> Check:
    wrong = misattributed(result.said, outcome.lines)
    right = len(outcome.lines) - len(wrong)
    return Check(
        name="attribution",
        passed=bool(outcome.lines) and not wrong,
        measured=f"{right} of {len(outcome.lines)} lines under the right speaker",
        limit="all",
    )


def _integrity(integrity: Integrity | None, problem: str) -> Check:
    if integrity is None:
        return Check(name="integrity", passed=False, measured=problem or "no answer", limit="complete")
    stored = sum(producer.stored for producer in integrity.producers)
    declared = sum(producer.declared for producer in integrity.producers)
    complete = integrity.verdict == "complete"
    return Check(
        name="integrity",
        passed=complete and not problem,
        measured=problem
        or f"{integrity.verdict}: " + (f"{stored} of {declared} lines" if complete else integrity.reason),
        limit="complete",
    )


def _event(result: MeetingResult, outcome: Outcome, receiver: str) -> Check:
    events = outcome.room_finished
    fault = ""
    if len(events) != 1:
        fault = f"{len(events)} events" + (f", {outcome.unreadable_events} unreadable" if not events else "")
    else:
        fault = _event_fault(result, events[0])
    return Check(
        name="livekit/room_finished",
        passed=not fault,
        measured=fault or f"{_clock(events[0].started_at)} to {_clock(events[0].ended_at)} UTC, in {receiver}",
        limit="exactly one",
    )


def _event_fault(result: MeetingResult, event: RoomFinished) -> str:
    if event.started_at.utcoffset() or event.ended_at.utcoffset():
        return "times are not in UTC"
    opened, emptied = _instant(result.opened_ms), _instant(result.emptied_ms)
    if not opened - _STARTED_BEFORE_JOIN <= event.started_at <= opened + _CLOCK_SLACK:
        return f"startedAt {_clock(event.started_at)}, though the first joined at {_clock(opened)}"
    if not emptied - _CLOCK_SLACK <= event.ended_at <= emptied + _ENDED_AFTER_LEAVE:
        return f"endedAt {_clock(event.ended_at)}, though the last left at {_clock(emptied)}"
    return ""


def _approval(result: MeetingResult, outcome: Outcome, receiver: str) -> Check:
    """One popup to one person, and one event that says what they approved."""
    fault = ""
    if len(result.answered) != 1 or len(outcome.approved) != 1:
        fault = f"{len(result.answered)} popups, {len(outcome.approved)} events"
    elif outcome.approved[0].proposal_id != result.answered[0].request.proposal_id or not outcome.approved[0].ics:
        fault = "the event is another's, or has no calendar file"
    return Check(
        name="calendar_event.approved",
        passed=not fault,
        measured=fault or f"{result.answered[0].name}: “{outcome.approved[0].event.title}”, .ics, in {receiver}",
        limit="exactly one",
    )


def _latency(name: str, latencies: Latencies, limits_seconds: tuple[float, float]) -> Check:
    limit = "≤ {:.1f} / {:.1f} s".format(*limits_seconds)
    if latencies.p50_seconds is None or latencies.p95_seconds is None:
        return Check(name=name, passed=False, measured="nothing to measure", limit=limit)
    p50, p95 = latencies.p50_seconds, latencies.p95_seconds
    return Check(
        name=name,
        passed=p50 <= limits_seconds[0] and p95 <= limits_seconds[1],
        measured=f"p50 {p50:.2f} s · p95 {p95:.2f} s",
        limit=limit,
    )


def _first_of(differences: tuple[str, ...]) -> str:
    if not differences:
        return ""
    return differences[0] + (f" (and {len(differences) - 1} more)" if len(differences) > 1 else "")


def _instant(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def _clock(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%H:%M:%S")
