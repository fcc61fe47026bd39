"""In which language a recogniser is asked, and what it makes of a refusal."""

from __future__ import annotations

import asyncio

import pytest
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, APIStatusError, LanguageCode, stt, utils
from livekit.agents.types import NOT_GIVEN, NotGivenOr
from structlog.testing import capture_logs
from tests.unit.agent.fakes import RecordingMeter, VirtualClock

from meetai_agent.adapters.recogniser import Recogniser
from meetai_agent.adapters.utterances import Utterance
from meetai_agent.domain.errors import RecogniserFailedError
from meetai_agent.domain.heard import FinalWords, Heard

OUTAGES = [APIStatusError("", status_code=status) for status in (401, 403, 408, 429, 500, 503)]


class Refusing(stt.STT[str]):
    """Hears the same in everything, and fails where a test says so.

    Attributes:
        refused: The languages that it fails in, and how.
        asked: In what language it was asked; empty in none.
    """

    def __init__(self, refused: dict[str, Exception]) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self.refused = refused
        self.asked: list[str] = []

    async def _recognize_impl(
        self, buffer: utils.AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        self.asked.append(str(language))
        await asyncio.sleep(0)  # as any network would, let others run
        if (error := self.refused.get(str(language))) is not None:
            raise error
        words = stt.SpeechData(language=LanguageCode(""), text="Something.")
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[words])


class Asked:
    """A recogniser of it that is asked for one utterance after another."""

    def __init__(self, **refused: Exception) -> None:
        self.engine, self.clock, self.meter = Refusing(refused), VirtualClock(), RecordingMeter()
        self.recogniser = Recogniser("test/refusing", lambda: self.engine, clock=self.clock, random=lambda: 0.0)

    async def hear(self, language: str | None) -> list[Heard]:
        utterance = Utterance(0, started_ms=0)
        utterance.extend([rtc.AudioFrame.create(16_000, 1, 16_000)], 16_000)
        utterance.end(now=0.0)
        return [heard async for heard in self.recogniser.hear(utterance, language, self.meter)]


@pytest.mark.parametrize(
    "refusal", [ValueError("language"), APIStatusError("", status_code=400), APIStatusError("", status_code=422)]
)
async def test_it_is_asked_without_the_language_at_once_when_it_refuses_that(refusal: Exception) -> None:
    """Which it isn't asked in again; another is tried, and the log names it once."""
    asked = Asked(nb=refusal)
    with capture_logs() as logs:
        [[heard], _, _] = [await asked.hear(language) for language in ("nb", "nb", "de")]
        await asyncio.gather(*(asked.hear("nb") for _ in range(3)))
    assert isinstance(heard, FinalWords)
    assert (heard.text, heard.language) == ("Something.", None)
    assert asked.engine.asked == ["nb", "", "", "de", "", "", ""]
    assert logs == [
        {"event": "language_refused", "log_level": "warning", "recogniser": "test/refusing", "language": "nb"}
    ]
    assert asked.recogniser.resting_seconds <= 0
    assert not asked.meter.counts["recogniser_failed:test/refusing"]


async def test_a_refusal_is_logged_once_when_several_are_refused_at_the_same_time() -> None:
    """All ears of a meeting ask in the same language."""
    asked = Asked(nb=APIStatusError("", status_code=400))
    with capture_logs() as logs:
        await asyncio.gather(*(asked.hear("nb") for _ in range(3)))
    assert sorted(asked.engine.asked) == [*[""] * 3, *["nb"] * 3]
    assert [each["event"] for each in logs] == ["language_refused"]


@pytest.mark.parametrize("outage", [*OUTAGES, APIConnectionError(), TimeoutError(), RuntimeError()])
async def test_it_is_asked_in_the_language_again_when_it_was_away(outage: Exception) -> None:
    """After its rest, and not before: an outage says nothing of the language."""
    asked = Asked(de=outage)
    with pytest.raises(RecogniserFailedError):
        await asked.hear("de")
    assert asked.recogniser.resting_seconds > 0
    asked.engine.refused.clear()
    await asked.hear("de")
    assert asked.engine.asked == ["de", "de"]


async def test_the_language_is_not_blamed_when_it_is_refused_without_one_as_well() -> None:
    """What is refused whatever the language rests as long as ever, and the language is asked for again."""
    refusal = APIStatusError("", status_code=400)
    asked = Asked(de=refusal)
    asked.engine.refused[""] = refusal
    for language in ("de", None):
        asked.clock.now += 60.0
        with pytest.raises(RecogniserFailedError):
            await asked.hear(language)
        assert asked.recogniser.resting_seconds == 30.0
    assert asked.meter.counts["recogniser_failed:test/refusing"] == 2
    asked.engine.refused.clear()
    await asked.hear("de")
    assert asked.engine.asked == ["de", "", "", "de"]
