"""What the worker answers before a job begins, and how it is set up."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.agents import AgentServer, JobRequest

from meetai_agent.adapters.providers.recognisers import check_recogniser
from meetai_agent.app.job import end_session
from meetai_agent.app.worker import provider_problems
from meetai_agent.domain.errors import UnknownProviderError
from meetai_agent.domain.metadata import read_metadata
from meetai_agent.domain.providers import ProviderAccess
from meetai_agent.settings import AgentSettings
from meetai_agent.worker import Worker, answer_request, load_by_jobs
from meetai_contracts.room import METADATA_ATTRIBUTE, AgentData, MeetingData, RoomMetadata, write_room_metadata
from meetai_servicekit.health import NotReadyError
from meetai_servicekit.secret import Secret
from meetai_servicekit.settings import SettingsError, load

GOOD = write_room_metadata(
    RoomMetadata(1, MeetingData("standup", "Standup"), AgentData(name="Scribe", instructions="Be brief."))
)
ENVIRONMENT = {
    "LIVEKIT_URL": "ws://127.0.0.1:7880",
    "LIVEKIT_API_KEY": "devkey",
    "LIVEKIT_API_SECRET": "a-secret-of-at-least-32-characters",
    "REDIS_URL": "redis://127.0.0.1",
    "SPOOL_DIR": "/var/spool/meetai",
}


class Request:
    """The part of `JobRequest` that is asked."""

    id = "AJ_1"

    def __init__(self, room_name: str, metadata: str) -> None:
        self.room = SimpleNamespace(name=room_name, metadata=metadata)
        self.accepted: dict[str, Any] | None = None
        self.rejected = False

    async def accept(self, **arguments: Any) -> None:
        self.accepted = arguments

    async def reject(self) -> None:
        self.rejected = True


async def answered(room_name: str, metadata: str) -> Request:
    request = Request(room_name, metadata)
    await answer_request(cast("JobRequest", request))
    return request


async def test_a_job_is_taken_under_the_agents_name_when_the_metadata_says_it() -> None:
    """And the agent says that it could read it."""
    request = await answered("standup", GOOD)
    assert request.accepted == {"name": "Scribe", "attributes": {METADATA_ATTRIBUTE: "ok"}}


@pytest.mark.parametrize(
    "metadata",
    ["", "{", "[]", '"text"', "{}", '{"v":2}', GOOD.replace("Scribe", "\\u0000"), "[" * 100_000, " " * 20_000],
    ids=["empty", "cut", "list", "text", "object", "version", "name", "deep", "large"],
)
async def test_a_job_is_taken_and_says_what_is_wrong_when_the_metadata_does_not_parse(metadata: str) -> None:
    """People are transcribed all the same."""
    request = await answered("standup", metadata)
    assert request.accepted is not None
    assert request.accepted["name"] == "Assistant"
    assert request.accepted["attributes"][METADATA_ATTRIBUTE].startswith("invalid: ")
    assert len(request.accepted["attributes"][METADATA_ATTRIBUTE]) < 500


@pytest.mark.parametrize("room_name", ["", "a\0b", "a\u202eb", "x" * 257, "e\u0301"])
async def test_a_job_is_refused_when_the_rooms_name_cannot_be_a_meeting_id(room_name: str) -> None:
    """Its lines could not be stored."""
    request = await answered(room_name, GOOD)
    assert request.rejected
    assert request.accepted is None


def test_metadata_without_an_agent_is_read_when_the_application_wants_none() -> None:
    """Whoever dispatched us all the same gets a transcript."""
    metadata, verdict = read_metadata('{"v":1,"meetingData":{"id":"standup","name":"Standup"},"later":[]}')
    assert verdict == "ok"
    assert metadata is not None
    assert metadata.agent_data is None


def test_every_setting_is_named_when_all_are_wrong_or_missing() -> None:
    """At once, and no value is quoted."""
    wrong = {
        "LIVEKIT_URL": "ftp://hunter2",
        "REDIS_URL": "hunter2",
        "LLM": "hunter2",
        "TTS": "none",
        "PORT": "hunter2",
        "SPOOL_MAX_BYTES": "1",
        "MAX_JOBS": "0",
        "DRAIN_SECONDS": "-1",
        "LOG_LEVEL": "hunter2",
    }
    with pytest.raises(SettingsError) as caught:
        load(AgentSettings, wrong)
    named = {problem.partition(":")[0] for problem in caught.value.problems}
    assert named == {*wrong, "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "SPOOL_DIR"}
    for stt in ("hunter2", "local/a,", ",local/a", "local/a,b", "deepgram/", ",".join(["local/a"] * 5)):
        with pytest.raises(SettingsError, match="STT"):
            load(AgentSettings, {**ENVIRONMENT, "STT": stt})
    assert "hunter2" not in str(caught.value)


def test_settings_are_read_when_the_environment_is_complete() -> None:
    """And the secrets don't show."""
    settings = load(AgentSettings, {**ENVIRONMENT, "OPENAI_API_KEY": "a-secret", "DEEPGRAM_BASE_URL": "http://dg/v1"})
    assert (settings.spool_dir, settings.drain_seconds) == ("/var/spool/meetai", 3600)
    access = settings.provider_access
    assert (access.openai_api_key, access.deepgram_api_key) == (Secret("a-secret"), None)
    assert access.deepgram_base_url == "http://dg/v1"
    assert "a-secret" not in repr(settings)


def test_a_missing_key_is_named_with_all_else_that_is_wrong() -> None:
    """Also the key of a recogniser that only takes over; each key once."""
    environment = {**ENVIRONMENT, "STT": "local/whisper-tiny.en,deepgram/nova-3,openai/whisper-1", "PORT": "hunter2"}
    with pytest.raises(SettingsError) as caught:
        load(AgentSettings, environment)
    named = [problem.partition(":")[0] for problem in caught.value.problems]
    assert sorted(named) == ["DEEPGRAM_API_KEY", "OPENAI_API_KEY", "PORT"]
    load(AgentSettings, {**ENVIRONMENT, "LLM": "none", "TTS": "openai/tts-1"})
    keys = {"DEEPGRAM_API_KEY": "key", "OPENAI_API_KEY": "key", "PORT": "1"}
    settings = load(AgentSettings, {**environment, **keys})
    check_recogniser(settings.stt, settings.provider_access)


@pytest.mark.parametrize(
    "setting",
    ["nobody/model", "local/", "deepgram/nova-3", "local/whisper-tiny.en,nobody/x", "openai/gpt-live-transcribe"],
)
def test_a_provider_is_refused_at_start_when_it_is_not_known(setting: str) -> None:
    """Not only when the first meeting comes."""
    with pytest.raises(UnknownProviderError):
        check_recogniser(setting, ProviderAccess())


def test_every_provider_that_cannot_work_is_named_when_several_cannot() -> None:
    """At once; without a responder there needn't be a voice."""
    wrong = {"STT": "nobody/m", "LLM": "local/rules,nobody/m", "TTS": "local/festival"}
    problems = provider_problems(load(AgentSettings, {**ENVIRONMENT, **wrong}))
    assert [problem.partition(":")[0] for problem in problems] == ["STT", "LLM", "TTS"]
    silent = load(AgentSettings, {**ENVIRONMENT, "LLM": "none", "TTS": "local/festival"})
    assert provider_problems(silent) == []


@pytest.mark.parametrize(("jobs", "load"), [(0, 0.0), (5, 0.5), (10, 1.0)])
def test_jobs_are_refused_when_there_are_as_many_as_allowed(jobs: int, load: float) -> None:
    """The framework refuses from a load of 1 on."""
    assert load_by_jobs(10, cast("AgentServer", SimpleNamespace(active_jobs=[None] * jobs))) == load


class Server:
    """The part of `AgentServer` that the worker drives."""

    def __init__(self, *, id: str = "unregistered", connecting: bool = False) -> None:  # noqa: A002 - the framework's name
        self.id = id
        self._connecting = connecting
        self.draining = False
        self.active_jobs: list[None] = []
        self.drained_with: int | None = None
        self.closed = asyncio.Event()

    async def run(self) -> None:
        await self.closed.wait()

    async def drain(self, timeout: int | None) -> None:  # noqa: ASYNC109 - the framework's name
        self.draining = True
        self.drained_with = timeout
        raise TimeoutError

    async def aclose(self) -> None:
        self.closed.set()


def worker(server: Server, *, drain_seconds: int = 0) -> Worker:
    return Worker(cast("AgentServer", server), drain_seconds=drain_seconds)


async def test_the_worker_is_ready_when_livekit_knows_it_and_only_then() -> None:
    """Before it is registered, while it reconnects and while it drains, it isn't."""
    await worker(Server(id="AW_1")).check_registered()
    draining = Server(id="AW_1")
    draining.draining = True
    for server in (Server(), Server(id="AW_1", connecting=True), draining):
        with pytest.raises(NotReadyError):
            await worker(server).check_registered()


async def test_draining_has_a_limit_when_it_is_set_to_nothing() -> None:
    """The framework takes 0 for as long as it lasts. The worker goes on to answer for its health until it is cancelled."""
    server = Server()
    driven = worker(server, drain_seconds=0)
    running = asyncio.create_task(driven.run())
    await driven.drain()
    assert server.drained_with == 1
    assert server.closed.is_set()
    done, _ = await asyncio.wait([running], timeout=0.05)
    assert not done
    running.cancel()


async def test_the_worker_ends_when_the_framework_gives_up_by_itself() -> None:
    """So that the process does, and the platform starts another."""
    server = Server()
    server.closed.set()
    async with asyncio.timeout(5):
        await worker(server).run()


async def test_nothing_is_done_when_a_job_ends_that_never_began() -> None:
    """The framework calls for the end of a job whose start failed, too."""
    await end_session(cast("Any", SimpleNamespace(proc=SimpleNamespace(userdata={}))))
