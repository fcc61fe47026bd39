"""Dead letters: stored after all, or removed on somebody's order.

Owns the order of things: what a letter holds is stored and the letter removed in one transaction, so that a redrive that is
killed is a redrive that hasn't happened. Must not decide what is readable; the code that reads the stream does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import structlog
from msgspec import Struct

from meetai_contracts.dead_letters import DeadLetterContent, DeadLetterPage, Redriven
from meetai_transcript_ingest.domain.errors import LetterGoneError, RefusedError
from meetai_transcript_ingest.domain.letters import KeptLetter, LetterFilter, content_of, reopen
from meetai_transcript_ingest.domain.parcels import DeadLetter, Parcel, dead_line, with_lines
from meetai_transcript_ingest.ports import DeadLetters, Observer

BULK_SECONDS: Final = 8.0
"""A bulk redrive takes no further letter after this long, and says where to go on: proxies cut requests after 15 s or more."""

Fate = Literal["redriven", "discarded", "stayed"]

log = structlog.get_logger()


class InspectDeadLetters:
    """What is dead, and why."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters

    async def page(self, wanted: LetterFilter, *, before: int | None, limit: int) -> DeadLetterPage:
        """Metadata, newest first; `next` is the id to go on before.

        Raises:
            TryLaterError: the store is away.
        """
        found = await self._dead_letters.page(wanted, before=before, limit=limit + 1)
        shown = found[:limit]
        return DeadLetterPage(dead_letters=shown, next=str(shown[-1].id) if len(found) > limit else None)

    async def content(self, letter_id: int) -> DeadLetterContent:
        """One letter with what was said.

        Raises:
            LetterGoneError: there is no such letter.
            TryLaterError: the store is away.
        """
        return content_of(await self._dead_letters.get(letter_id))


class Redrive:
    """Tries again what could not be stored.

    Args:
        dead_letters: Where letters are kept.
        observer: Is told what became of each.
        monotonic: Seconds, for the end of a bulk redrive.
    """

    def __init__(self, dead_letters: DeadLetters, *, observer: Observer, monotonic: Callable[[], float]) -> None:
        self._dead_letters = dead_letters
        self._observer = observer
        self._monotonic = monotonic

    async def one(self, letter_id: int, *, actor: str, discard_conflicts: bool = False) -> Redriven:
        """Redrive one letter.

        Raises:
            LetterGoneError: there is no such letter.
            TryLaterError: the store is away.
        """
        tally = _Tally()
        await self._redrive(letter_id, tally, actor, discard_conflicts=discard_conflicts)
        return tally.answer(next_cursor=None)

    async def many(
        self, wanted: LetterFilter, *, before: int | None, limit: int, actor: str, discard_conflicts: bool = False
    ) -> Redriven:
        """Redrive up to `limit` letters, newest first; `next` says where to go on. Letters that die meanwhile are left alone.

        Raises:
            TryLaterError: the store is away; what was redriven until then stays so.
        """
        ends = self._monotonic() + BULK_SECONDS
        found = await self._dead_letters.page(wanted, before=before, limit=limit + 1)
        tally = _Tally()
        for position, summary in enumerate(found):
            if position == limit or self._monotonic() > ends:
                return tally.answer(next_cursor=str(found[position - 1].id) if position else str(summary.id + 1))
            try:
                await self._redrive(summary.id, tally, actor, discard_conflicts=discard_conflicts)
            except LetterGoneError:  # somebody else was faster
                continue
        return tally.answer(next_cursor=None)

    async def discard(self, letter_id: int, *, actor: str) -> None:
        """Remove a letter unstored.

        Raises:
            LetterGoneError: there is no such letter.
            TryLaterError: the store is away.
        """
        await self._dead_letters.discard(letter_id, actor=actor)
        self._observer.redriven("discarded")
        log.info("dead_letter_discarded", letter=letter_id, actor=actor)

    async def _redrive(self, letter_id: int, tally: _Tally, actor: str, *, discard_conflicts: bool) -> None:
        letter = await self._dead_letters.get(letter_id)
        unpacked = reopen(letter)
        try:
            rewritten = await self._dead_letters.rewrite(letter, unpacked.parcels, unpacked.letters)
        except RefusedError as error:
            if letter.seq is None and any(parcel.lines for parcel in unpacked.parcels):
                await self._divide(letter, unpacked.parcels, unpacked.letters, str(error), tally)
            else:
                await self._dead_letters.note_attempt(letter, "refused", str(error))
                self._settle(letter, tally, "stayed")
            return
        tally.lines += rewritten.outcome.lines
        if rewritten.removed:
            self._settle(letter, tally, "redriven")
        elif discard_conflicts and letter.seq is not None and rewritten.outcome.conflicts:
            await self.discard(letter_id, actor=actor)
            tally.discarded += 1
        else:
            self._settle(letter, tally, "stayed")

    async def _divide(
        self,
        letter: KeptLetter,
        parcels: tuple[Parcel, ...],
        letters: tuple[DeadLetter, ...],
        detail: str,
        tally: _Tally,
    ) -> None:
        """A letter of many lines becomes a letter a line, in one transaction; then each is tried by itself."""
        lines = [dead_line(parcel, line, "refused", detail) for parcel in parcels for line in parcel.lines]
        declared = [with_lines(parcel, ()) for parcel in parcels]
        try:
            rewritten = await self._dead_letters.rewrite(letter, declared, (*letters, *lines))
        except RefusedError as error:  # the producer itself is refused, and with it all its lines
            await self._dead_letters.note_attempt(letter, "refused", str(error))
            self._settle(letter, tally, "stayed")
            return
        log.info("dead_letter_divided", letter=letter.summary.id, lines=len(lines))
        if not rewritten.removed:  # it still holds lines that can't be read
            self._settle(letter, tally, "stayed")
        entry = LetterFilter(reason="refused", entry=(letter.summary.stream, letter.summary.entry_id))
        for part in await self._dead_letters.page(entry, before=None, limit=len(lines)):
            try:
                await self._redrive(part.id, tally, "", discard_conflicts=False)
            except LetterGoneError:
                continue

    def _settle(self, letter: KeptLetter, tally: _Tally, fate: Fate) -> None:
        if fate == "redriven":
            tally.redriven += 1
        else:
            tally.stayed += 1
        self._observer.redriven(fate)
        log.info("dead_letter_redriven", letter=letter.summary.id, entry_id=letter.summary.entry_id, fate=fate)


class _Tally(Struct):
    redriven: int = 0
    discarded: int = 0
    stayed: int = 0
    lines: int = 0

    def answer(self, *, next_cursor: str | None) -> Redriven:
        return Redriven(self.redriven, self.discarded, self.stayed, self.lines, next_cursor)
