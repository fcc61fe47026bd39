"""JSON lines on stdout: constant event names, values as fields, never text, tokens or bodies.

Owns how a line is written and what may not be in it. Libraries log through the standard library: of theirs only warnings
and worse are written, and of an exception only its type and where it was raised, because messages quote data.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from meetai_servicekit.tracing import current_trace_id

MAX_FRAMES: Final = 12
MAX_FIELD_CHARACTERS: Final = 500
_LEVELS: Final = {"warn": "warning", "exception": "error"}
"""Methods of a logger that aren't called as their level is."""


def configure_logging(service: str, level: str, stream: TextIO | None = None) -> None:
    """Route structlog and the standard library to one JSON line an event. Call once, first thing in the process."""
    out = stream or sys.stdout
    shared: list[structlog.typing.Processor] = [structlog.contextvars.merge_contextvars, _described(service)]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                _of_library,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


def _to_json(value: Any, **_: Any) -> str:
    try:
        return msgspec.json.encode(value, enc_hook=repr).decode()
    except (ValueError, OverflowError):  # lone surrogates, integers over 64 bits: a log line must never raise
        return json.dumps(value, default=repr)


def _described(service: str) -> structlog.typing.Processor:
    """All that a line has beside its own fields, in one step: every line of every request pays for each."""

    def describe(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if "trace_id" not in event and (trace_id := current_trace_id()) is not None:
            event["trace_id"] = trace_id
        event["level"] = _LEVELS.get(method, method)
        event["at"] = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        if "exc_info" in event:
            _without_exception_text(event)
        event["service"] = service
        for key, value in event.items():
            if isinstance(value, str) and len(value) > MAX_FIELD_CHARACTERS:
                event[key] = value[:MAX_FIELD_CHARACTERS] + "…"
        return event

    return describe


def _of_library(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give a library's record our shape, its first line alone; what it passes in `extra` is dropped.

    Where asyncio reports an unretrieved exception, the second line is the task's repr, which quotes the message.
    """
    record = cast("logging.LogRecord", event.pop("_record"))
    event.pop("_from_structlog", None)
    message = event.pop("event", "")
    return {**event, "event": "library_logged", "logger": record.name, "message": _first_line(message)}


def _first_line(message: object) -> str:
    return str(message).partition("\n")[0][:MAX_FIELD_CHARACTERS]


def _without_exception_text(event: EventDict) -> None:
    """Replace `exc_info` by the exception's type and the frames that raised it, innermost last."""
    info = event.pop("exc_info")
    if not info:
        return
    error = info if isinstance(info, BaseException) else (info[1] if isinstance(info, tuple) else sys.exception())
    if error is not None:
        event["error"] = _type_name(error)
        event["frames"] = _frames(error.__traceback__)
        if error.__cause__ is not None:
            event["cause"] = _type_name(error.__cause__)
        if isinstance(error, BaseExceptionGroup):
            event["errors"] = [_type_name(inner) for inner in error.exceptions]


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def _frames(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-MAX_FRAMES:]
    return [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
