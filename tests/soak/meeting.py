"""A meeting that goes on for as long as it is told to: everyone says their recordings, over and over, partly at once."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from typing import Final

from meetai_contracts.api import TokenRequest
from meetai_local.demo.captions import HeardCaption
from meetai_local.demo.meeting import AGENT
from meetai_local.demo.participant import SimulatedParticipant, TokenIssuer
from meetai_local.speech import load_recording, load_script

LONGEST_PAUSE_SECONDS: Final = 12.0
"""So four people leave a recogniser on one core time to keep up: half a second for an utterance of four."""
LINGER_SECONDS: Final = 180.0
QUIET_SECONDS: Final = 15.0
"""No caption for so long after the last word: all have come. A recogniser that shares its cores with others is seconds behind, and who
leaves earlier doesn't see what is stored."""


async def hold(
    issuer: TokenIssuer,
    meeting_id: str,
    *,
    speakers: int,
    seconds: float,
    on_caption: Callable[[HeardCaption], None] = lambda _: None,
) -> tuple[HeardCaption, ...]:
    """Hold it, and return what the first of the people was shown.

    Raises:
        ExceptionGroup: somebody could not join, was not heard or could not speak.
    """
    cast, silent = load_script().cast[:speakers], asyncio.Event()
    talking = len(cast)
    ended = time.monotonic() + seconds
    captions: list[HeardCaption] = []
    last = time.monotonic()

    def shown(caption: HeardCaption) -> None:
        nonlocal last
        last = time.monotonic()
        captions.append(caption)
        on_caption(caption)

    async def attend(number: int) -> None:
        nonlocal talking
        member, chance = cast[number], random.Random(number)
        request = TokenRequest(
            user_id=member.identity,
            user_name=member.name,
            role="host" if number == 0 else "participant",
            agent=AGENT,
        )
        async with SimulatedParticipant(
            issuer, meeting_id, request, on_caption=shown if number == 0 else None
        ) as someone:
            await someone.wait_until_heard()
            for line in itertools.cycle(load_script().lines[number:] + load_script().lines[:number]):
                if time.monotonic() > ended:
                    break
                await someone.say(load_recording(line.wav))
                await asyncio.sleep(chance.uniform(1.0, LONGEST_PAUSE_SECONDS))
            talking -= 1
            if number == 0:
                await _until_quiet(lambda: talking == 0 and time.monotonic() - last > QUIET_SECONDS)
                silent.set()
            await silent.wait()

    async with asyncio.TaskGroup() as people:
        for number in range(len(cast)):
            people.create_task(attend(number), name=cast[number].identity)
    return tuple(captions)


async def _until_quiet(is_quiet: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LINGER_SECONDS + LONGEST_PAUSE_SECONDS
    while not is_quiet() and time.monotonic() < deadline:  # noqa: ASYNC110 - a quiet while has no event
        await asyncio.sleep(0.5)
