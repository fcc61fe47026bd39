"""The rules that a release is made by."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from deploy.release import changelog
from deploy.release.audit import judged
from deploy.release.licences import problems_of
from deploy.release.source import REPOSITORY, chart_files, member_files, project_version, set_version
from deploy.release.sums import write_sums


def test_every_member_has_the_one_version_when_the_root_says_it() -> None:
    """`make version` sets it; nobody else does."""
    versions = {tomllib.loads(file.read_text())["project"]["version"] for file in member_files(REPOSITORY)}
    for file in chart_files(REPOSITORY):
        versions |= set(re.findall(r"^ *(?:version|appVersion): (.*)$", file.read_text(), re.MULTILINE))
    assert versions == {project_version(REPOSITORY)}
    assert len(member_files(REPOSITORY)) >= 7


def test_version_is_written_once_a_file_when_it_is_set(tmp_path: Path) -> None:
    """The project's own, not what looks like it further down."""
    for folder in ("", "libs/contracts", "services/token", "deploy/local"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n[other]\nversion = "7"\n')
    chart = tmp_path / "deploy/charts/x/Chart.yaml"
    chart.parent.mkdir(parents=True)
    chart.write_text("name: x\nversion: 0.1.0\nappVersion: 0.1.0\ndependencies:\n  - name: y\n    version: 0.1.0\n")
    set_version(tmp_path, "1.2.3rc1")
    assert chart.read_text().count("ersion: 1.2.3rc1\n") == 3
    for file in [tmp_path / "pyproject.toml", *member_files(tmp_path)]:
        assert file.read_text() == '[project]\nversion = "1.2.3rc1"\n[other]\nversion = "7"\n'
    with pytest.raises(ValueError, match="VERSION must be"):
        set_version(tmp_path, "v1.2")


@pytest.mark.parametrize(
    "licence",
    [
        "GPL-3.0-or-later",
        "AGPL-3.0-only",
        "GNU General Public License v3 (GPLv3)",
        "SSPL-1.0",
        "Other/Proprietary License",
        "",
    ],
)
def test_package_is_refused_by_name_when_its_licence_is_forbidden_or_unknown(licence: str) -> None:
    """Unless it is said why it may be there."""
    (line,) = problems_of("some-package", licence, "")
    assert line.startswith("some-package: ")
    assert problems_of("some-package", licence, "because") == []


@pytest.mark.parametrize(
    "licence",
    ["MIT", "Apache-2.0", "LGPL-3.0-only", "GNU Lesser General Public License v3 (LGPLv3)", "MPL-2.0 AND MIT"],
)
def test_package_is_taken_when_its_licence_asks_nothing_of_who_uses_us(licence: str) -> None:
    """Weak copyleft binds changes of the package itself."""
    assert problems_of("some-package", licence, "") == []


@pytest.mark.parametrize(
    ("text", "rehearsal", "is_fine"),
    [
        ("# C\n\n## 1.2.0 - 2026-12-01\n\n- new\n", False, True),
        ("# C\n\n## 1.2.0\n\n- new\n", False, False),
        ("# C\n\n## 1.2.0 - 2026-12-01\n\n## 1.1.0 - 2026-11-01\n\n- old\n", False, False),
        ("# C\n\n## Unreleased\n\n- new\n", False, False),
        ("# C\n\n## Unreleased\n\n- new\n", True, True),
    ],
)
def test_changelog_is_asked_for_the_version_when_it_is_released(text: str, rehearsal: bool, is_fine: bool) -> None:
    """With a date, and something in it."""
    assert (changelog.problems("1.2.0", rehearsal=rehearsal, text=text) == []) == is_fine


def test_audit_is_left_out_by_name_when_nobody_can_be_asked() -> None:
    """Neither a pass that wasn't, nor a failure for want of a network; a finding is one."""
    assert judged("packages", 0, "").is_problem is False
    left_out = judged("packages", 2, "error sending request for url (https://api.osv.dev/v1/querybatch)")
    assert (left_out.is_problem, left_out.text[:8]) == (False, "LEFT OUT")
    found = judged("packages", 1, "aiohttp 3.1 has 2 known vulnerabilities: PYSEC-1")
    assert found.is_problem
    assert "PYSEC-1" in found.text


def test_sums_are_of_every_file_when_they_are_written(tmp_path: Path) -> None:
    """As sha256sum reads them."""
    (tmp_path / "a.whl").write_bytes(b"a")
    write_sums(tmp_path)
    write_sums(tmp_path)
    digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert (tmp_path / "SHA256SUMS").read_text() == f"{digest}  a.whl\n"
