"""The exit code says whether the meeting was kept as promised, and the text why not."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.demo import meetings

from meetai_local.demo import run
from meetai_local.demo.engine import EngineError
from meetai_local.demo.participant import ParticipantError
from meetai_local.demo.verdict import Verdict, judge
from meetai_local.errors import PortsInUseError


def _demo_that_ends(monkeypatch: pytest.MonkeyPatch, end: Verdict | Exception) -> None:
    async def demo(*_: object) -> Verdict:
        if isinstance(end, Exception):
            raise end
        return end

    monkeypatch.setattr(run, "_demo", demo)


def test_exit_code_is_zero_when_every_promise_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing failed."""
    _demo_that_ends(monkeypatch, judge(meetings.result(), meetings.outcome()))
    assert run.main([]) == 0


def test_exit_code_is_one_when_a_promise_was_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any one of them; which make a verdict fail is tested with the verdict."""
    broken = msgspec.structs.replace(meetings.outcome(), room_finished=())
    _demo_that_ends(monkeypatch, judge(meetings.result(), broken))
    assert run.main([]) == 1


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (EngineError("POST /v1/meetings/m/tokens: HTTP 401"), 1, "HTTP 401"),
        (PortsInUseError("port 7880 is in use"), 2, "port 7880"),
        (ExceptionGroup("people", [ExceptionGroup("", [ParticipantError("no agent listened to Maya")])]), 1, "to Maya"),
    ],
    ids=["service", "port", "participants"],
)
def test_exit_code_and_one_line_when_it_could_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int, words: str
) -> None:
    """What a person can mend is one line, not a traceback."""
    _demo_that_ends(monkeypatch, error)
    assert run.main([]) == code
    printed = capsys.readouterr().out
    assert words in printed
    assert "Traceback" not in printed


def test_fault_of_the_demo_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error keeps its traceback, also beside an expected one."""
    _demo_that_ends(monkeypatch, ExceptionGroup("people", [ParticipantError("x"), KeyError("y")]))
    with pytest.raises(ExceptionGroup):
        run.main([])


def test_exit_code_is_two_when_a_setting_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named, before anything starts."""
    monkeypatch.setenv("MEETAI_TOKEN_PORT", "many")
    assert run.main([]) == 2
    assert "MEETAI_TOKEN_PORT" in capsys.readouterr().out


@pytest.mark.parametrize("speakers", ["1", "9", "six"])
def test_exit_code_is_two_when_the_number_of_speakers_is_wrong(speakers: str) -> None:
    """Two to eight."""
    with pytest.raises(SystemExit) as stopped:
        run.main(["--speakers", speakers])
    assert stopped.value.code == 2
