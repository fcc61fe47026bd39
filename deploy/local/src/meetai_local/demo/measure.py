"""Figures about a meeting: what was said against what was heard live and what is stored.

Owns word error rates, the comparison of live and stored lines, attribution and latencies. Pure: no I/O, no clock, and no
opinion about which figure is good enough (`report` has that).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

import jiwer
from msgspec import Struct

from meetai_contracts.api import StoredLine
from meetai_local.demo.captions import HeardCaption
from meetai_local.demo.meeting import Said

_NOT_A_WORD = re.compile(r"[^\w' ]+")


class SpeakerErrors(Struct, frozen=True):
    """One speaker's stored words against their reference."""

    identity: str
    name: str
    words: int
    errors: int

    @property
    def rate(self) -> float:
        """Word error rate; 0 when nothing was to be said and nothing was heard."""
        return self.errors / self.words if self.words else float(self.errors > 0)


class Latencies(Struct, frozen=True):
    """Percentiles in seconds, by nearest rank; all None when there was nothing to measure."""

    count: int
    p50_seconds: float | None
    p95_seconds: float | None


def normalise(text: str) -> str:
    """Words as they count: lower case, no punctuation, hyphens as spaces."""
    return " ".join(_NOT_A_WORD.sub(" ", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")).split())


def word_error_rate(reference: str, heard: str) -> float:
    """Substituted, left-out and added words, divided by the words of the reference."""
    errors = _word_errors(reference, heard)
    return errors / max(1, len(normalise(reference).split()))


def speaker_errors(said: Sequence[Said], stored: Sequence[StoredLine]) -> tuple[SpeakerErrors, ...]:
    """Every speaker's errors, in the order in which they first speak. Each is held to their own reference alone."""
    names = {utterance.identity: utterance.name for utterance in said}
    return tuple(
        SpeakerErrors(
            identity=identity,
            name=name,
            words=len(normalise(reference).split()),
            errors=_word_errors(reference, _joined(line.text for line in stored if line.speaker.identity == identity)),
        )
        for identity, name in names.items()
        for reference in [_reference(said, identity)]
    )


def misattributed(said: Sequence[Said], stored: Sequence[StoredLine]) -> tuple[StoredLine, ...]:
    """Human lines under a name that didn't speak, or whose words fit what somebody else said better."""
    references = {utterance.identity: _reference(said, utterance.identity) for utterance in said}
    wrong = []
    for line in stored:
        if line.speaker.kind != "human":
            continue
        fits = {identity: _shared_words(line.text, reference) for identity, reference in references.items()}
        if fits.get(line.speaker.identity, -1) < max(fits.values(), default=0):
            wrong.append(line)
    return tuple(wrong)


def live_differences(captions: Sequence[HeardCaption], stored: Sequence[StoredLine]) -> tuple[str, ...]:
    """Where the final captions and the stored lines are not the same lines, one short sentence each."""
    finals = [heard.caption for heard in captions if heard.caption.final]
    differences = [f"a final of {caption.speaker.name} has no id" for caption in finals if caption.id is None]
    live = {caption.id: caption for caption in finals if caption.id is not None}
    kept = {line.id: line for line in stored}
    if len(live) + len(differences) != len(finals):
        differences.append("a line was captioned twice")
    if len(kept) != len(stored):
        differences.append("a line is stored twice")
    differences += [f"{id_} was captioned and is not stored" for id_ in live.keys() - kept.keys()]
    differences += [f"{id_} is stored and was not captioned" for id_ in kept.keys() - live.keys()]
    for id_ in live.keys() & kept.keys():
        caption, line = live[id_], kept[id_]
        for field in ("text", "speaker", "started_ms", "ended_ms", "language"):
            if getattr(caption, field) != getattr(line, field):
                differences.append(f"{id_} has another {field} live than stored")
    return tuple(sorted(differences))


def caption_latencies(said: Sequence[Said], captions: Sequence[HeardCaption]) -> Latencies:
    """From the end of each utterance to the arrival of the last final caption with its words."""
    arrivals: dict[int, int] = {}
    for heard in captions:
        if heard.caption.final and (index := _utterance_of(said, heard)) is not None:
            arrivals[index] = max(arrivals.get(index, 0), heard.arrived_ms)
    return percentiles((arrived_ms - said[index].ended_ms) / 1000 for index, arrived_ms in arrivals.items())


def commit_latencies(captions: Sequence[HeardCaption], stored: Sequence[StoredLine]) -> Latencies:
    """From the arrival of each final caption to the commit of its line (the store's own `committedAt`)."""
    arrivals = {heard.caption.id: heard.arrived_ms for heard in captions if heard.caption.final}
    return percentiles(
        line.committed_at.timestamp() - arrivals[line.id] / 1000 for line in stored if line.id in arrivals
    )


def percentiles(seconds: Iterable[float]) -> Latencies:
    """p50 and p95 by nearest rank."""
    ordered = sorted(seconds)
    if not ordered:
        return Latencies(count=0, p50_seconds=None, p95_seconds=None)

    def rank(share: float) -> float:
        return ordered[math.ceil(share * len(ordered)) - 1]

    return Latencies(count=len(ordered), p50_seconds=rank(0.5), p95_seconds=rank(0.95))


def _utterance_of(said: Sequence[Said], heard: HeardCaption) -> int | None:
    """Which of the speaker's utterances a caption belongs to: the one that shares most words with it."""
    own = [index for index, said_ in enumerate(said) if said_.identity == heard.caption.speaker.identity]
    return max(own, key=lambda index: _shared_words(heard.caption.text, said[index].text), default=None)


def _word_errors(reference: str, heard: str) -> int:
    reference, heard = normalise(reference), normalise(heard)
    if not reference:
        return len(heard.split())
    output = jiwer.process_words(reference, heard)
    return output.substitutions + output.deletions + output.insertions


def _shared_words(text: str, reference: str) -> int:
    """How many words of a line occur in a reference, in the same order."""
    matcher = SequenceMatcher(None, normalise(text).split(), normalise(reference).split(), autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks())


def _reference(said: Sequence[Said], identity: str) -> str:
    return _joined(utterance.text for utterance in said if utterance.identity == identity)


def _joined(texts: Iterable[str]) -> str:
    return " ".join(texts)
