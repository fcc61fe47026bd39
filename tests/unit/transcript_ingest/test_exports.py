"""Exports, read back by parsers that know nothing of us, over texts that are out to break them."""

from __future__ import annotations

import html
import string
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import Message
from email.utils import collapse_rfc2231_value
from uuid import UUID

import msgspec
import pytest
import srt
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from meetai_contracts.api import StoredLine
from meetai_contracts.identifiers import MAX_UNIX_MS, check_id, line_id
from meetai_contracts.transcript import CaptionSpeaker
from meetai_transcript_ingest.domain.exports import FORMATS, file_name
from meetai_transcript_ingest.domain.exports.documents import TranscriptDocument
from meetai_transcript_ingest.domain.exports.shown_text import NAMELESS
from meetai_transcript_ingest.http.exports import content_disposition

PRODUCER = UUID("01900000-0000-7000-8000-000000000001")
FROM_MS = 1_790_000_000_000
NASTY = [
    "-->", "--", "\n", "\r\n", "\r", "\n\n", "\t", " ", "    ", "<b>", "</v>", "<v Boss>", "<00:00:01.000>", "&amp;", "&", "<!--",
    "00:00:01.000 --> 00:00:02.000", "00:00:01,000 --> 00:00:02,000", "1\n00:00:01,000 - -> 00:00:02,000", "NOTE ", "STYLE", "WEBVTT",
    "{\\an8}", "{y:i}", "*", "**", "_x_", "`code`", "[a](http://x)", "![a](b)", "# h", "> q", "- ", "1. ", "7)", "===", "---", "|", "~~x~~",
    "\\", "\\\\", "$x$", "~~~", "```", "שלום", "مرحبا 123", "\u202e", "\u2066", "\u2069", "👩‍👩‍👧‍👦", "🇺🇦", "é", "e\u0301",
    "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1b[31m", "\x01", "\x7f", "\ufeff", "\u200b", "\xa0", '"', "'", "word", "Zoë:",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), min_size=1, max_size=8).map("".join).filter(bool)  # fmt: skip
SPOKEN = st.tuples(TEXTS, TEXTS | st.just(""), st.integers(0, 400_000_000), st.integers(0, 60_000))


def transcript(spoken: Sequence[tuple[str, str, int, int]]) -> list[StoredLine]:
    """Lines in reading order from (text, name, start, duration)."""
    return [
        StoredLine(
            id=line_id(PRODUCER, seq),
            producer_id=PRODUCER,
            seq=seq,
            speaker=CaptionSpeaker(identity=f"user-{seq}", name=name, kind="human"),
            text=text,
            started_ms=FROM_MS + start,
            ended_ms=FROM_MS + start + duration,
            committed_at=datetime(2026, 11, 23, tzinfo=UTC),
        )
        for seq, (text, name, start, duration) in enumerate(sorted(spoken, key=lambda each: each[2]), 1)
    ]


def exported(suffix: str, lines: Sequence[StoredLine], *, page: int = 2, meeting_id: str = "standup") -> str:
    """The file, written in pages."""
    renderer = FORMATS[suffix].renderer(meeting_id)
    pages = [renderer.lines(lines[start : start + page]) for start in range(0, len(lines) + 1, page)]
    return b"".join([renderer.head(), *pages, renderer.tail()]).decode()


def visible(text: str) -> str:
    """What a person sees of a text: without white space, control and direction characters."""
    return "".join(
        character
        for character in text
        if not character.isspace() and unicodedata.category(character) != "Cc" and character not in "\u2060\u2068\u2069"
    )


def visible_name(line: StoredLine) -> str:
    directions = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    name = "".join(character for character in line.speaker.name if character not in directions)
    can_be_seen = any(unicodedata.category(character) != "Cf" for character in visible(name))
    return visible(name) if can_be_seen else line.speaker.identity


@given(st.lists(SPOKEN, max_size=6))
def test_vtt_reads_back_when_texts_are_nasty(spoken: list[tuple[str, str, int, int]]) -> None:
    """By webvtt-py, strictly: a cue a line, with its id, its voice, its times and all that can be seen of its text."""
    lines = transcript(spoken)
    cues = webvtt.from_string(exported("vtt", lines)).captions
    first_ms = lines[0].started_ms if lines else 0
    assert [cue.identifier for cue in cues] == [line.id for line in lines]
    for cue, line in zip(cues, lines, strict=True):
        voice, _, words = "\n".join(cue.lines).removeprefix("<v ").partition(">")
        assert visible(html.unescape(voice)) == visible_name(line)
        assert visible(html.unescape(words)) == visible(line.text)
        assert not {"<", ">"} & set(words)
        start_ms, end_ms = cue.start_time.in_milliseconds(), cue.end_time.in_milliseconds()
        assert start_ms == line.started_ms - first_ms
        assert end_ms == max(line.ended_ms - first_ms, start_ms + 1)


@given(st.lists(SPOKEN, max_size=6))
def test_srt_reads_back_when_texts_are_nasty(spoken: list[tuple[str, str, int, int]]) -> None:
    """By srt: a cue a line, numbered, with its times, its speaker and all that can be seen of its text."""
    lines = transcript(spoken)
    cues = list(srt.parse(exported("srt", lines)))
    assert [cue.index for cue in cues] == list(range(1, len(lines) + 1))
    for cue, line in zip(cues, lines, strict=True):
        assert visible(cue.content) == f"{visible_name(line)}:{visible(line.text)}"
        assert round(cue.start.total_seconds() * 1000) == line.started_ms - lines[0].started_ms
        assert cue.end > cue.start


@given(st.lists(SPOKEN, max_size=6))
def test_markdown_reads_back_when_texts_are_nasty(spoken: list[tuple[str, str, int, int]]) -> None:
    """By markdown-it with GitHub's rules: headings for the days, a paragraph a line, and no other markup in it."""
    lines = transcript(spoken)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(exported("md", lines))
    assert {token.type for token in tokens} <= {
        "heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline",
    }  # fmt: skip
    paragraphs = [tokens[i + 1] for i, token in enumerate(tokens) if token.type == "paragraph_open"]
    for paragraph, line in zip(paragraphs, lines, strict=True):
        children = paragraph.children or []
        assert [token.type for token in children if token.nesting] == ["strong_open", "strong_close"]
        assert {token.type for token in children if not token.nesting} <= {"text", "text_special", "hardbreak"}
        shown = "".join(visible(token.content) for token in children)
        clock = f"{datetime.fromtimestamp(line.started_ms // 1000, UTC):%H:%M:%S}"
        assert shown == f"{clock}{visible_name(line)}:{visible(line.text)}"


@given(st.lists(SPOKEN, max_size=6))
def test_txt_has_one_entry_a_line_when_texts_are_nasty(spoken: list[tuple[str, str, int, int]]) -> None:
    """Only an entry begins at the start of a line, so that no text can pass for another's words."""
    lines = transcript(spoken)
    entries: list[str] = []
    for row in exported("txt", lines).split("\n")[:-1]:
        if row.startswith("    "):
            entries[-1] += row
        else:
            entries.append(row)
    for entry, line in zip(entries, lines, strict=True):
        at = datetime.fromtimestamp(line.started_ms // 1000, UTC)
        assert visible(entry) == f"[{at:%Y-%m-%d%H:%M:%S}UTC]{visible_name(line)}:{visible(line.text)}"


@given(st.lists(SPOKEN, max_size=6), TEXTS)
def test_json_is_byte_for_byte_when_texts_are_nasty(spoken: list[tuple[str, str, int, int]], meeting_id: str) -> None:
    """Every field of every line, whatever is in it."""
    lines = transcript(spoken)
    document = msgspec.json.decode(exported("json", lines, meeting_id=meeting_id), type=TranscriptDocument)
    assert document == TranscriptDocument(meeting_id, tuple(lines))


def test_subtitles_go_on_when_a_meeting_lasts_more_than_99_hours() -> None:
    """Hours take as many digits as they need, up to the last instant that there is."""
    lines = transcript([("first", "Ada", 0, 500), ("later", "Ada", 100 * 3_600_000, 500)])
    assert "100:00:00.000 --> 100:00:00.500" in exported("vtt", lines)
    last = msgspec.structs.replace(lines[1], started_ms=MAX_UNIX_MS, ended_ms=MAX_UNIX_MS)
    for suffix in FORMATS:
        exported(suffix, [lines[0], last])
    assert len(list(srt.parse(exported("srt", [lines[0], last])))) == 2


def test_cues_overlap_when_people_talk_at_once() -> None:
    """Each keeps its own times, in the order in which they began."""
    lines = transcript([("one", "Ada", 0, 5_000), ("two", "Bob", 1_000, 1_000), ("three", "Cy", 1_000, 9_000)])
    cues = webvtt.from_string(exported("vtt", lines)).captions
    assert [(cue.start, cue.end) for cue in cues] == [
        ("00:00:00.000", "00:00:05.000"),
        ("00:00:01.000", "00:00:02.000"),
        ("00:00:01.000", "00:00:10.000"),
    ]


@pytest.mark.parametrize(
    ("suffix", "empty"),
    [("vtt", "WEBVTT\n"), ("srt", ""), ("txt", ""), ("md", "# Transcript of standup\n"), ("json", '{"meetingId":"standup","lines":[]}\n')],
)  # fmt: skip
def test_file_is_sound_when_nothing_was_said(suffix: str, empty: str) -> None:
    """An empty transcript is a file all the same."""
    assert exported(suffix, []) == empty


@pytest.mark.parametrize("name", [" \n\u202e", "\u2060", "\u200b \ufeff"])
def test_speaker_is_the_identity_when_there_is_no_name(name: str) -> None:
    """None that can be seen; and something even without that."""
    (line,) = transcript([("hi", name, 0, 1)])
    assert "user-1: hi" in exported("srt", [line])
    nobody = msgspec.structs.replace(line, speaker=CaptionSpeaker(identity="", name="", kind="human"))
    assert f"{NAMELESS}: hi" in exported("srt", [nobody])


@pytest.mark.parametrize(
    ("suffix", "shown"),
    [("vtt", "<v Ada (screen share)>hi"), ("srt", "Ada (screen share): hi"), ("txt", "Ada (screen share): hi"), ("md", "Ada (screen share):** hi"), ("json", '"source":"screen_share"')],
)  # fmt: skip
def test_line_is_marked_when_it_was_the_sound_of_a_screen(suffix: str, shown: str) -> None:
    """It is under the sharer's name, who hasn't said it."""
    (line,) = transcript([("hi", "Ada", 0, 1)])
    assert shown in exported(suffix, [msgspec.structs.replace(line, source="screen_share")])
    assert "screen" not in exported(suffix, [line])


def test_text_keeps_to_itself_when_it_runs_right_to_left() -> None:
    """It is isolated, so that it doesn't turn round the clock and the name before it."""
    (line,) = transcript([("שלום world", "דנה", 0, 1)])
    assert exported("txt", [line]).endswith(f"\u2068{line.speaker.name}\u2069: \u2068{line.text}\u2069\n")


def identifiers() -> st.SearchStrategy[str]:
    def acceptable(text: str) -> bool:
        try:
            check_id(text, "id")
        except ValueError:
            return False
        return True

    characters = st.characters(exclude_categories=["Cs", "Cc", "Cf"])
    awkward = st.sampled_from(["../../etc/passwd", "a/b\\c", 'q"; filename="x.exe', "CON", ".hidden", "планёрка", "x" * 256, "я" * 128, "a%2Fb", "'", " "])  # fmt: skip
    return awkward | st.text(characters, min_size=1, max_size=80).filter(acceptable)


@given(identifiers(), st.sampled_from([*FORMATS]))
@settings(max_examples=200)
def test_file_name_is_safe_when_the_meeting_id_is_awkward(meeting_id: str, suffix: str) -> None:
    """Python's own parser of headers gets the name back; it is no path, not hidden, and fits a file system."""
    header = content_disposition(file_name(meeting_id, suffix))
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    names = [value for key, value in message.get_params([], header="Content-Disposition") if key == "filename"]
    plain, text = [collapse_rfc2231_value(value) for value in names]
    assert text == file_name(meeting_id, suffix)
    assert set(plain) <= set(string.ascii_letters + string.digits + "._-")
    assert text.startswith("transcript-")
    assert text.endswith(f".{suffix}")
    assert len(text.encode()) <= 200
    assert not set(text) & set('/\\:*?"<>|')
