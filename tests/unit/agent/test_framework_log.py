"""What of the framework's warnings is written."""

from __future__ import annotations

import io
import logging

import pytest
from livekit.agents import APIStatusError
from livekit.agents.log import logger

from meetai_agent.adapters.framework_log import keep_words_out_of_the_log, without_words
from meetai_servicekit.logging import configure_logging


@pytest.mark.parametrize(
    ("path", "kept"), [("/x/livekit/agents/llm/llm.py", False), ("/x/livekit/agents/worker.py", True)]
)
def test_what_was_said_is_not_written_when_a_provider_fails(path: str, kept: bool) -> None:
    """A provider's error quotes the request; where it happened is enough. What a worker says of itself stays."""
    out = io.StringIO()
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    try:
        configure_logging("agent", "INFO", out)
        keep_words_out_of_the_log()
        keep_words_out_of_the_log()
        error = APIStatusError("refused", status_code=400, body={"input": "our secret plan"})
        record = logger.makeRecord(logger.name, logging.WARNING, path, 7, "failed: %s", (error,), None, "_main_task")
        logger.handle(record)
    finally:
        logger.removeFilter(without_words)
        logging.getLogger().handlers, logging.getLogger().level = handlers, level
    assert ("our secret plan" in out.getvalue()) is kept
    assert ("agents/llm/llm.py:7 _main_task" in out.getvalue()) is not kept
