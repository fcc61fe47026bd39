"""`python -m meetai_webhook_bridge events …`: the ledger over the database directly, as the HTTP API has it.

Owns arguments, exit codes and what is written to stdout: one JSON object a line, so that `jq` reads it. Exit codes: 0 done,
1 there is no such event or the database is away, 2 called wrongly.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from meetai_contracts.codec import encode_json
from meetai_contracts.ledger import ReplayRequest
from meetai_servicekit.arguments import identifier, instant, positive_number
from meetai_webhook_bridge.domain.errors import BridgeError
from meetai_webhook_bridge.ports import LedgerQuery
from meetai_webhook_bridge.usecases.replay import ReplayEvents, position

PAGE_EVENTS: Final = 500


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read what follows `events`; on a mistake say so on stderr and leave with exit code 2."""
    parser = _parser()
    read = parser.parse_args(arguments)
    if read.verb == "replay" and bool(read.ids) == (read.received_from is not None):
        parser.error("replay: name events by id, or say --from (which --before, --state, --name and --meeting narrow)")
    return read


async def run(command: argparse.Namespace, replay: ReplayEvents) -> int:
    """Do it; returns the exit code."""
    try:
        match command.verb:
            case "list":
                await _list(command, replay)
            case "life":
                _write(await replay.ledger.life(command.meeting))
            case _:
                await _replay(command, replay)
    except BridgeError as error:
        sys.stderr.write(f"events: {type(error).__name__}: {error}\n")
        return 1
    return 0


async def _list(command: argparse.Namespace, replay: ReplayEvents) -> None:
    left, before = command.limit, None
    while left > 0:
        page = await replay.ledger.page(LedgerQuery(limit=min(left, PAGE_EVENTS), before=before, **_filters(command)))
        for entry in page.events:
            _write(entry)
        left -= len(page.events)
        before = position(page.next)
        if before is None:
            return


async def _replay(command: argparse.Namespace, replay: ReplayEvents) -> None:
    actor = f"cli:{getpass.getuser()}"
    for event_id in command.ids:
        _write(await replay.one(event_id, actor=actor))
    if command.ids:
        return
    wanted = ReplayRequest(limit=PAGE_EVENTS, **_filters(command))
    total = 0
    while True:
        done = await replay.many(wanted, actor=actor)
        total += done.replayed
        if done.next is None:
            break
        wanted = replace(wanted, cursor=done.next)
    _write(msgspec.structs.replace(done, replayed=total))


def _filters(command: argparse.Namespace) -> dict[str, Any]:
    return {
        "state": command.state,
        "name": command.name,
        "meeting_id": command.meeting,
        "received_from": command.received_from,
        "received_before": command.received_before,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m meetai_webhook_bridge events", description="What became of each event, and delivering it again."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list | life | replay")
    listing = verbs.add_parser("list", help="newest first")
    listing.add_argument("--limit", type=positive_number, default=100, help="this many at most (100)")
    life = verbs.add_parser("life", help="when what happened to a meeting")
    life.add_argument("meeting", type=identifier, metavar="MEETING")
    replay = verbs.add_parser("replay", help="deliver again, under the same id")
    replay.add_argument("ids", type=identifier, metavar="ID", nargs="*")
    for verb, states in ((listing, ("pending", "sent", "dead")), (replay, ("sent", "dead"))):
        verb.add_argument("--state", choices=states, help="only those in this state")
        verb.add_argument("--name", type=identifier, help="only those of this name")
        verb.add_argument("--meeting", type=identifier, help="only those of this meeting id")
        verb.add_argument("--from", dest="received_from", type=instant, metavar="TIME", help="received then or later")
        verb.add_argument("--before", dest="received_before", type=instant, metavar="TIME", help="received earlier")
    return parser


def _write(message: msgspec.Struct) -> None:
    sys.stdout.write(encode_json(message).decode() + "\n")
