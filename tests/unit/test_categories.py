"""The rules by which `tests/conftest.py` sorts tests and by which CI refuses to pass without them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.categories import Categories

pytest_plugins = ["pytester"]

_PLUGIN = """
from pathlib import Path
from tests.categories import Categories

def pytest_configure(config):
    config.pluginmanager.register(Categories(Path(__file__).parent, require_all={require_all}))
"""
_MARKERS = (
    "[pytest]\nasyncio_default_fixture_loop_scope = function\nmarkers =\n  unit\n  contract\n  integration\n  e2e\n"
)


def _lay_out(pytester: pytest.Pytester, *, require_all: bool, **files: str) -> None:
    pytester.makeini(f"{_MARKERS}pythonpath = {Path(__file__).parents[2]}\n")
    pytester.makeconftest(_PLUGIN.format(require_all=require_all))
    for category, source in files.items():
        folder = pytester.mkdir(category)
        (folder / f"test_{category}.py").write_text(source)


def test_categories_run_in_order_when_collected_in_another() -> None:
    """The order is by cost, not by the alphabet."""
    categories = Categories(Path("/tests"), require_all=False)
    paths = [Path(f"/tests/{name}/deep/test_x.py") for name in ("unit", "contract", "integration", "e2e")]
    assert [categories.category_of(path) for path in paths] == ["unit", "contract", "integration", "e2e"]


def test_marker_selects_by_folder_when_none_is_written(pytester: pytest.Pytester) -> None:
    """`-m unit` finds what is in tests/unit without any marker in the file."""
    _lay_out(pytester, require_all=False, unit="def test_a(): pass", e2e="def test_b(): pass")
    pytester.runpytest_inprocess("-m", "unit").assert_outcomes(passed=1, deselected=1)


def test_collection_fails_when_a_test_is_outside_the_folders(pytester: pytest.Pytester) -> None:
    """A test without a category would run nowhere in particular."""
    _lay_out(pytester, require_all=False, stray="def test_a(): pass")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*a test belongs in one of tests/*"])


def test_session_fails_when_all_are_required_and_one_category_ran_nothing(pytester: pytest.Pytester) -> None:
    """A green run that never touched a category is no proof."""
    passing = "def test_a(): pass"
    _lay_out(pytester, require_all=True, unit=passing, contract=passing, integration=passing)
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["MEETAI_REQUIRE_ALL: no e2e test ran"])


def test_session_fails_when_all_are_required_and_a_test_skips(pytester: pytest.Pytester) -> None:
    """A skip in CI is a failure."""
    passing, skipping = (
        "def test_a(): pass",
        "import pytest\ndef test_a(): pytest.skip('no engine')\ndef test_b(): pass",
    )
    _lay_out(pytester, require_all=True, unit=passing, contract=passing, integration=skipping, e2e=passing)
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["MEETAI_REQUIRE_ALL: skipped: *test_integration.py::test_a"])


@pytest.fixture
def in_two_processes(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The arguments that spread tests over two processes, which load no plugin but the one that does it."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return ("-p", "xdist", "-n", "2", "--dist", "loadfile")


def test_session_fails_when_all_are_required_and_a_process_skipped_a_whole_file(
    pytester: pytest.Pytester, in_two_processes: tuple[str, ...]
) -> None:
    """The file was collected in another process than the one that judges."""
    passing, skipping = "def test_a(): pass", "import pytest\npytest.skip('no engine', allow_module_level=True)"
    _lay_out(pytester, require_all=True, unit=passing, contract=passing, integration=passing, e2e=passing)
    (pytester.path / "integration" / "test_whole.py").write_text(skipping)
    result = pytester.runpytest_subprocess(*in_two_processes)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["MEETAI_REQUIRE_ALL: skipped: *test_whole.py"])


def test_session_passes_when_two_processes_ran_all_between_them(
    pytester: pytest.Pytester, in_two_processes: tuple[str, ...]
) -> None:
    """Neither process runs every category, so neither may judge."""
    passing = "def test_a(): pass"
    _lay_out(pytester, require_all=True, unit=passing, contract=passing, integration=passing, e2e=passing)
    result = pytester.runpytest_subprocess(*in_two_processes)
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.OK
