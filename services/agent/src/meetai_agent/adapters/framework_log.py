"""What livekit-agents and its plugins write in the log: where it happened, and not in which words.

Their warnings quote the exception, and a provider's exception quotes the request: what somebody said, or the answer. Exceptions
themselves are already logged without their words (ADR 0008); this does the same to messages.
"""

from __future__ import annotations

import logging
from typing import Final

QUOTING: Final = ("livekit.agents", "livekit.plugins.openai", "livekit.plugins.deepgram")
"""Loggers of what talks to providers. A filter counts for records of its own logger alone, not for those of its children."""
_SPOKEN_OF: Final = ("/llm/", "/tts/", "/stt/", "/voice/", "/inference/", "/plugins/", "/utils/")


def without_words(record: logging.LogRecord) -> bool:
    """A `logging.Filter`: replaces the message by its place, where it may quote what was said."""
    path = record.pathname.replace("\\", "/")
    if any(part in path for part in _SPOKEN_OF):
        record.msg = f"{path.rpartition('/livekit/')[2]}:{record.lineno} {record.funcName}"
        record.args = None
    return True


def keep_words_out_of_the_log() -> None:
    """Set the filter, once a process."""
    for name in QUOTING:
        logger = logging.getLogger(name)
        if without_words not in logger.filters:
            logger.addFilter(without_words)
