"""What is built of a commit."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from deploy.release import packages
from deploy.release.source import Source, committed
from tests.contract.installing import uv


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One service and a library say it all."""
    monkeypatch.setattr(packages, "MEMBERS", ("contracts", "token"))
    monkeypatch.setenv("MEETAI_UV", uv())


def built(source: Source, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    packages.build(source, folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_bytes_are_the_same_when_a_commit_is_built_twice(tmp_path: Path) -> None:
    """Wheels and source distributions; whoever doubts one can make it again."""
    with committed("HEAD", "9.8.7") as source:
        first = built(source, tmp_path / "first")
        for folder, _, files in os.walk(source.folder):
            for name in files:
                os.utime(Path(folder, name), (1_000_000_000, 1_000_000_000))
        assert built(source, tmp_path / "second") == first
    assert sorted(first) == [
        "meetai_contracts-9.8.7-py3-none-any.whl",
        "meetai_contracts-9.8.7.tar.gz",
        "meetai_token-9.8.7-py3-none-any.whl",
        "meetai_token-9.8.7.tar.gz",
    ]


def test_service_asks_for_its_libraries_at_its_version_when_it_is_released(tmp_path: Path) -> None:
    """A contract of another release is another contract."""
    with committed("HEAD", "9.8.7") as source:
        built(source, tmp_path / "dist")
    with zipfile.ZipFile(tmp_path / "dist" / "meetai_token-9.8.7-py3-none-any.whl") as wheel:
        metadata = wheel.read("meetai_token-9.8.7.dist-info/METADATA").decode()
    assert "Requires-Dist: meetai-contracts==9.8.7\n" in metadata
    assert "Requires-Dist: meetai-servicekit[livekit,redis]==9.8.7\n" in metadata
