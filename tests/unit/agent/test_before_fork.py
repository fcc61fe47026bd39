"""What the fork server loads for all jobs' processes, and what the worker's own process loads for itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from meetai_agent.adapters.providers.modules import provider_modules

EVERY_PROVIDER = {
    "STT": "deepgram/nova-3,openai/whisper-1,local/whisper-tiny.en",
    "LLM": "openai/gpt-4o-mini,local/rules",
    "TTS": "deepgram/aura-2,openai/tts-1,local/espeak-ng",
}
ENVIRONMENT = {
    "LIVEKIT_URL": "ws://127.0.0.1:7880",
    "LIVEKIT_API_KEY": "devkey",
    "LIVEKIT_API_SECRET": "a-secret-of-at-least-32-characters",
    "REDIS_URL": "redis://127.0.0.1",
    "SPOOL_DIR": "/var/spool/meetai",
    "DEEPGRAM_API_KEY": "a-key",
    "OPENAI_API_KEY": "a-key",
    "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0",
    **EVERY_PROVIDER,
}
LOAD = """
import json, os, sys
import livekit.agents
before = len(os.listdir("/proc/self/task"))
import {imports}
print(json.dumps({{"threads": len(os.listdir("/proc/self/task")) - before, "modules": list(sys.modules)}}))
"""
TALKING = {"meetai_agent.app.talking", "icalendar"}
WEB_SERVER = {"litestar", "uvicorn"}


def load(imports: str, **settings: str) -> Any:
    """What a process of its own has loaded, and how many threads it has started, once it has imported these."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(imports=imports)],
        env={**os.environ, **ENVIRONMENT, **settings},
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_module_is_named_once_when_several_settings_need_it() -> None:
    """And a provider that needs nothing names none."""
    chosen = {"STT": "openai/whisper-1", "LLM": "local/rules", "TTS": "openai/tts-1,local/espeak-ng"}
    assert provider_modules(chosen) == ["livekit.plugins.openai", "meetai_agent.adapters.espeak"]


def test_no_thread_is_started_when_every_provider_is_loaded() -> None:
    """A fork would leave it behind, and what waits for it would wait for ever."""
    loaded = load("meetai_agent.app.before_fork")
    assert loaded["threads"] == 0
    assert {*provider_modules(EVERY_PROVIDER), *TALKING} <= set(loaded["modules"])


def test_nothing_to_talk_with_is_loaded_when_the_agent_only_hears() -> None:
    """Nor the worker's web server: a job has none."""
    loaded = load("meetai_agent.app.before_fork", LLM="none", STT="deepgram/nova-3")
    assert not (TALKING | WEB_SERVER) & set(loaded["modules"])


def test_nothing_of_a_job_is_loaded_when_a_worker_starts() -> None:
    """It never runs one, and only names its functions."""
    loaded = load("meetai_agent.app.worker")
    assert not {"meetai_agent.app.job", "meetai_agent.session", *TALKING} & set(loaded["modules"])


@pytest.mark.parametrize("root", ["worker", "before_fork"])
def test_nothing_for_a_terminal_is_loaded_when_there_is_none(root: str) -> None:
    """Logging would, and does without."""
    loaded = load(f"meetai_agent.app.no_terminal, meetai_agent.app.{root}")
    assert not {"rich.console", "pygments"} & set(loaded["modules"])
