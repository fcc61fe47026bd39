"""Ten people on one job, all talking at once, through the real SFU; a recogniser that costs nothing shows what the rest does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.integration.agent.agent_process import START_SECONDS, agent_process, person
from tests.integration.agent.test_worker_process import stored_until_closed
from tests.servers import deepgram_listen
from tests.servers.deepgram_listen import DeepgramServer
from tests.servers.embedded import EmbeddedServer
from tests.servers.spoken_reference import BYTES_A_SECOND, Word
from tests.waiting import until

from meetai_local.speech import load_recording, load_script

SPEAKERS = 10


def half_seconds(audio: bytes) -> list[Word]:
    """A word for each half second of audio."""
    return [Word(f"w{at}", at / 2, at / 2 + 0.5) for at in range(2 * len(audio) // BYTES_A_SECOND)]


async def test_all_are_heard_under_their_names_when_ten_talk_at_once(
    livekit: EmbeddedServer, redis_url: str, tmp_path: Path
) -> None:
    """Each line is under its speaker, live and stored; nothing is called lost, though two streams are cut and one refused."""
    recordings = [load_recording(line.wav) for line in load_script().lines[:SPEAKERS]]
    async with DeepgramServer(half_seconds) as deepgram, AsyncExitStack() as meeting:
        providers = {
            "STT": "deepgram/nova-3",
            "DEEPGRAM_API_KEY": deepgram_listen.KEY,
            "DEEPGRAM_BASE_URL": deepgram.base_url,
            "LLM": "none",
        }
        agent = meeting.enter_context(agent_process(tmp_path, livekit.url, redis_url, providers))
        await until(agent.ready, START_SECONDS)
        deepgram.faults.extend(["none", "cut after an interim", "429", "cut before the last words"])
        people = [
            await meeting.enter_async_context(person(livekit.url, "crowd", name=f"P{number}"))
            for number in range(SPEAKERS)
        ]
        for each in people:
            await each.wait_until_heard()
        spoken = await asyncio.gather(
            *(each.say(recording) for each, recording in zip(people, recordings, strict=True))
        )
        names = {f"p{number}" for number in range(SPEAKERS)}
        listener = people[0]
        await until(lambda: {c.caption.speaker.identity for c in listener.captions if c.caption.final} == names, 60)
        await until(lambda: deepgram.open == 0, 60)
        agent.process.terminate()
        batches = await stored_until_closed(redis_url, "crowd")
        captions = [each.caption for each in listener.captions if each.caption.final]
    lines = [line for batch in batches for line in batch.lines]
    assert {line.speaker.identity for line in lines} == names
    assert {batch.kind for batch in batches} == {"open", "lines", "close"}
    assert {caption.id for caption in captions} <= {line.id for line in lines}
    assert len({line.id for line in lines}) == len(lines) == batches[-1].high_water
    began, ended = min(each.started_ms for each in spoken), max(each.ended_ms for each in spoken)
    assert all(began - 30_000 <= line.started_ms <= line.ended_ms <= ended + 30_000 for line in lines)
    assert agent.events("recogniser_failed")
