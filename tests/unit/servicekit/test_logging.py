"""A log line is one line of JSON, bounded, and never has what an exception or a library quotes."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from meetai_servicekit.logging import MAX_FIELD_CHARACTERS, MAX_FRAMES, configure_logging

TEXT = "what Ann said"


class Log:
    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def line(self) -> dict[str, Any]:
        (line,) = self.lines
        return line


@pytest.fixture
def log() -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = Log()
    configure_logging("tested", "INFO", written.stream)
    yield written
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def fail(depth: int = 0) -> None:
    if depth:
        fail(depth - 1)
    raise ValueError(TEXT)


def test_line_has_its_fields_when_something_is_logged(log: Log) -> None:
    """What, how bad, when, who, and the values."""
    structlog.get_logger().info("batch_committed", lines=3, stream="s")
    line = log.line
    assert line.pop("at").endswith("Z")
    assert line == {"event": "batch_committed", "level": "info", "service": "tested", "lines": 3, "stream": "s"}


def test_line_is_left_out_when_it_is_below_the_level(log: Log) -> None:
    """DEBUG isn't written at INFO."""
    structlog.get_logger().debug("unimportant")
    assert log.lines == []


def test_exception_has_no_message_when_logged(log: Log) -> None:
    """Its type and where it was raised say enough, and a message quotes data."""
    try:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError(TEXT) from error
    except RuntimeError:
        structlog.get_logger().exception("request_failed")
    line = log.line
    assert (line["error"], line["cause"]) == ("builtins.RuntimeError", "builtins.ValueError")
    assert line["frames"][-1].endswith("test_exception_has_no_message_when_logged")
    assert TEXT not in log.stream.getvalue()


def test_exception_group_names_its_members_when_logged(log: Log) -> None:
    """A TaskGroup's failure."""
    group = ExceptionGroup(TEXT, [ValueError(TEXT), OSError(TEXT)])
    structlog.get_logger().error("work_failed", exc_info=group)
    assert log.line["errors"] == ["builtins.ValueError", "builtins.OSError"]
    assert TEXT not in log.stream.getvalue()


def test_frames_are_bounded_when_the_stack_is_deep(log: Log) -> None:
    """The innermost are kept."""
    try:
        fail(depth=100)
    except ValueError as error:
        structlog.get_logger().error("deep", exc_info=error)
    assert len(log.line["frames"]) == MAX_FRAMES


def test_library_record_has_our_shape_when_it_is_a_warning(log: Log) -> None:
    """With its logger's name; what it passes in `extra`, and its exception's message, are dropped."""
    try:
        fail()
    except ValueError:
        logging.getLogger("some.library").warning("took %d s", 3, exc_info=True, extra={"body": TEXT})
    line = log.line
    assert (line["event"], line["logger"], line["message"]) == ("library_logged", "some.library", "took 3 s")
    assert (line["level"], line["service"], line["error"]) == ("warning", "tested", "builtins.ValueError")
    assert TEXT not in log.stream.getvalue()


@pytest.mark.parametrize("level", ["debug", "info"])
def test_library_record_is_left_out_when_it_is_chatter(log: Log, level: str) -> None:
    """Some of them write bodies at DEBUG."""
    getattr(logging.getLogger("some.library"), level)(TEXT)
    assert log.lines == []


async def test_task_is_not_quoted_when_nobody_retrieved_its_exception(log: Log) -> None:
    """Asyncio's second line is the task's repr, which holds the exception's message."""

    async def work() -> None:
        fail()

    task = asyncio.create_task(work())
    await asyncio.wait([task])
    del task
    gc.collect()
    assert log.line["message"] == "Task exception was never retrieved"
    assert TEXT not in log.stream.getvalue()


def test_field_is_cut_when_it_is_long(log: Log) -> None:
    """Of ours and of libraries."""
    structlog.get_logger().info("long", value="x" * 100_000)
    logging.getLogger("some.library").error("x" * 100_000)
    ours, theirs = log.lines
    assert len(ours["value"]) == MAX_FIELD_CHARACTERS + 1
    assert len(theirs["message"]) == MAX_FIELD_CHARACTERS


@pytest.mark.parametrize(
    "value", ["\ud800", "a\nb", 2**70, -(2**70), float("nan"), b"\xff", object, {1: "\udc00"}, {1, 2}]
)
def test_line_is_written_when_a_value_is_awkward(log: Log, value: object) -> None:
    """Logging never raises, and a line stays a line."""
    structlog.get_logger().info("awkward", value=value)
    assert log.line["event"] == "awkward"


def test_library_record_is_written_when_its_text_is_awkward(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    """A file name that isn't UTF-8 comes with lone surrogates."""
    logging.getLogger("some.library").error("can't open \udcff")
    assert log.line["event"] == "library_logged"
    assert capsys.readouterr().err == ""
