"""What the fork server loads for all jobs' processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

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
import meetai_agent.app
before = len(os.listdir("/proc/self/task"))
import meetai_agent.app.before_fork
print(json.dumps({"threads": len(os.listdir("/proc/self/task")) - before, "modules": list(sys.modules)}))
"""


def test_a_module_is_named_once_when_several_settings_need_it() -> None:
    """And a provider that needs nothing names none."""
    chosen = {"STT": "openai/whisper-1", "LLM": "local/rules", "TTS": "openai/tts-1,local/espeak-ng"}
    assert provider_modules(chosen) == ["livekit.plugins.openai", "meetai_agent.adapters.espeak"]


def test_no_thread_is_started_when_every_provider_is_loaded() -> None:
    """A fork would leave it behind, and what waits for it would wait for ever."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    loaded = json.loads(done.stdout)
    assert loaded["threads"] == 0
    assert set(provider_modules(EVERY_PROVIDER)) <= set(loaded["modules"])
