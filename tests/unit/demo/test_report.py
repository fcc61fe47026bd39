"""What a person reads at the end, without a terminal."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console
from tests.unit.demo import meetings

from meetai_local.demo.captions import CaptionPrinter, speaker_colours
from meetai_local.demo.report import PLAIN_WIDTH_COLUMNS, print_report
from meetai_local.demo.verdict import Verdict, judge


def _console() -> Console:
    return Console(file=io.StringIO(), width=PLAIN_WIDTH_COLUMNS, highlight=False)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _printed(verdict: Verdict) -> str:
    console = _console()
    print_report(console, verdict, started_ms=meetings.BEGAN_MS, colours=speaker_colours(["maya", "robert"]))
    return _text(console)


def test_report_shows_transcript_and_every_check_on_one_screen() -> None:
    """Plain text: each line with its time and speaker, each check with its mark."""
    verdict = judge(meetings.result(), meetings.outcome(), receiver="event recorder")
    printed = _printed(verdict)
    assert "00:04.0  Robert  The design is finished" in printed
    assert "event recorder" in printed
    assert printed.count("✓") == len(verdict.checks) + 1
    assert "✗" not in printed
    assert "\x1b" not in printed
    assert len(printed.splitlines()) <= 24


def test_report_names_the_failed_checks() -> None:
    """In its last line."""
    printed = _printed(judge(meetings.result(), msgspec.structs.replace(meetings.outcome(), room_finished=())))
    assert "✗ failed: livekit/room_finished" in printed.splitlines()[-1]


def test_text_with_markup_is_shown_as_it_is() -> None:
    """Nobody can colour the report by what they say."""
    line = msgspec.structs.replace(meetings.stored()[0], text="[red]not markup[/red]")
    assert "[red]not markup[/red]" in _printed(Verdict(checks=(), lines=(line,)))


def test_captions_print_finals_only() -> None:
    """Interims stay away from a plain terminal."""
    console = _console()
    printer = CaptionPrinter(console, speaker_colours(["maya"]))
    printer.start(meetings.BEGAN_MS)
    final = meetings.captions()[0]
    printer.show(msgspec.structs.replace(final, caption=msgspec.structs.replace(final.caption, final=False, text="Go")))
    printer.show(final)
    assert _text(console).splitlines() == [f"  00:00.0  Maya    {final.caption.text}"]
