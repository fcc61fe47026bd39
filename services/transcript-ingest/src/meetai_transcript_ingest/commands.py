"""`python -m meetai_transcript_ingest dead-letters …`: the same as the HTTP API, over the database directly.

Owns arguments, exit codes and what is written to stdout: one JSON object a line, so that `jq` reads it. Exit codes: 0 done,
1 something stayed or isn't there or the database is away, 2 called wrongly.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from meetai_contracts.codec import encode_json
from meetai_contracts.dead_letters import Redriven
from meetai_servicekit.arguments import identifier, instant, positive_number
from meetai_transcript_ingest.domain.errors import BadCursorError, LetterGoneError, TryLaterError
from meetai_transcript_ingest.domain.letters import MAX_LETTERS, LetterFilter, letter_number
from meetai_transcript_ingest.usecases.redrive import InspectDeadLetters, Redrive

PAGE_LETTERS: Final = 100


class DeadLetterCommand(Struct, frozen=True):
    """What was asked for on the command line."""

    verb: str
    ids: tuple[int, ...] = ()
    wanted: LetterFilter = LetterFilter()
    limit: int | None = None
    discard_conflicts: bool = False


def parse(arguments: Sequence[str]) -> DeadLetterCommand:
    """Read what follows `dead-letters`; on a mistake say so on stderr and leave with exit code 2."""
    read = _parser().parse_args(arguments)
    if read.verb == "redrive" and not read.ids and not read.all:
        _parser().error(
            "redrive: name letters by id, or say --all (which --reason, --meeting, --from and --before narrow)"
        )
    return DeadLetterCommand(
        verb=read.verb,
        ids=tuple(getattr(read, "ids", ())),
        wanted=LetterFilter(
            reason=getattr(read, "reason", None),
            meeting_id=getattr(read, "meeting", None),
            died_from=getattr(read, "died_from", None),
            died_before=getattr(read, "died_before", None),
        ),
        limit=getattr(read, "limit", None),
        discard_conflicts=getattr(read, "discard", False),
    )


async def run(command: DeadLetterCommand, inspect: InspectDeadLetters, redrive: Redrive) -> int:
    """Do it; returns the exit code."""
    actor = f"cli:{getpass.getuser()}"
    try:
        match command.verb:
            case "list":
                await _list(command, inspect)
            case "show":
                for letter_id in command.ids:
                    _write(await inspect.content(letter_id))
            case "discard":
                for letter_id in command.ids:
                    await redrive.discard(letter_id, actor=actor)
            case _:
                return 1 if (await _redrive(command, redrive, actor)).stayed else 0
    except (LetterGoneError, TryLaterError) as error:
        sys.stderr.write(f"dead-letters: {error}\n")
        return 1
    return 0


async def _list(command: DeadLetterCommand, inspect: InspectDeadLetters) -> None:
    left = command.limit
    before: int | None = None
    while left is None or left > 0:
        page = await inspect.page(command.wanted, before=before, limit=min(left or PAGE_LETTERS, PAGE_LETTERS))
        for letter in page.dead_letters:
            _write(letter)
        if page.next is None:
            return
        before = int(page.next)
        left = None if left is None else left - len(page.dead_letters)


async def _redrive(command: DeadLetterCommand, redrive: Redrive, actor: str) -> Redriven:
    total = Redriven(0, 0, 0, 0, None)
    for letter_id in command.ids:
        total = _sum(total, await redrive.one(letter_id, actor=actor, discard_conflicts=command.discard_conflicts))
    before: int | None = None
    while not command.ids:
        done = await redrive.many(
            command.wanted, before=before, limit=MAX_LETTERS, actor=actor, discard_conflicts=command.discard_conflicts
        )
        total = _sum(total, done)
        if done.next is None:
            break
        before = int(done.next)
    _write(total)
    return total


def _sum(one: Redriven, other: Redriven) -> Redriven:
    return Redriven(
        redriven=one.redriven + other.redriven,
        discarded=one.discarded + other.discarded,
        stayed=one.stayed + other.stayed,
        lines=one.lines + other.lines,
        next=None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m meetai_transcript_ingest dead-letters",
        description="What could not be stored, and storing it after all.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list | show | redrive | discard")
    listing = verbs.add_parser("list", help="metadata, newest first; never what was said")
    listing.add_argument("--limit", type=positive_number, help="this many at most")
    show = verbs.add_parser("show", help="what a letter holds: what was said")
    redrive = verbs.add_parser("redrive", help="store it after all; what still can't be stored stays")
    redrive.add_argument("--all", action="store_true", help="every letter, or those that the filters leave")
    redrive.add_argument(
        "--discard", action="store_true", help="remove conflicts that remain rather than let them stay"
    )
    discard = verbs.add_parser("discard", help="remove it unstored")
    for verb, count in ((show, "+"), (redrive, "*"), (discard, "+")):
        verb.add_argument("ids", metavar="ID", type=_letter_number, nargs=count)
    for verb in (listing, redrive):
        verb.add_argument("--reason", type=identifier, help="only letters that died of this")
        verb.add_argument("--meeting", type=identifier, help="only letters of this meeting id")
        verb.add_argument(
            "--from", dest="died_from", type=instant, metavar="TIME", help="only those that died then or later"
        )
        verb.add_argument(
            "--before", dest="died_before", type=instant, metavar="TIME", help="only those that died earlier"
        )
    return parser


def _letter_number(text: str) -> int:
    try:
        return letter_number(text)
    except BadCursorError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _write(message: msgspec.Struct) -> None:
    sys.stdout.write(encode_json(message).decode() + "\n")
