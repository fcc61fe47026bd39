"""What runbooks tell a person to do at night can be done: every command, route, metric and log event in them exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from deploy.observability.source.metrics import known_metrics
from tests.unit.observability.rules import NAME, ROOT, RULES, RUNBOOKS, alerts

from meetai_transcript_ingest import commands as ingest_commands
from meetai_webhook_bridge import commands as bridge_commands

PAGES = sorted(RUNBOOKS.glob("MeetAI*.md"))
HEADINGS = ["What it means", "What users notice", "Look", "Mend"]
SERVICES = {
    "TOKEN_URL": "token",
    "WEBHOOK_BRIDGE_URL": "webhook-bridge",
    "TRANSCRIPT_INGEST_URL": "transcript-ingest",
    "AGENT_URL": "agent",
}
PLATFORM = {"/livez", "/readyz", "/metrics"}
TOOLS = {"redis-cli", "psql", "ls"}
EXAMPLES = {"MEETING": "{meeting_id}", "livekit-room_finished-RM_x": "{event_id}"}


def commands(page: Path) -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        yield from block.strip().splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_tells_what_it_means_what_users_notice_and_what_to_do(page: Path) -> None:
    """Under the same headings everywhere, with something to look at; its rule is where it says."""
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[:4] == HEADINGS
    assert list(commands(page))
    (rule_file,) = re.findall(r"`deploy/observability/rules/([\w-]+\.yaml)`", text)
    assert f"alert: {page.stem}\n" in (RULES / rule_file).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_runbook_says_to_run_can_be_run(page: Path) -> None:
    """Sub-commands are parsed by their own parsers, paths are routes of their service with that method."""
    for command in commands(page):
        words = shlex.split(command.partition(" | ")[0])
        match words:
            case ["curl", *arguments]:
                _check_request(arguments)
            case ["python", "-m", "meetai_transcript_ingest", "dead-letters", *arguments]:
                ingest_commands.parse(arguments)
            case ["python", "-m", "meetai_webhook_bridge", "events", *arguments]:
                bridge_commands.parse(arguments)
            case ["python", "-m", "meetai_transcript_ingest" | "meetai_webhook_bridge", "migrate"]:
                pass
            case _:
                assert words[0] in TOOLS, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_runbook_names_is_there(page: Path) -> None:
    """Metrics, also within a grep's pattern; log events; other runbooks."""
    text = page.read_text()
    names = {name for metrics in known_metrics().values() for metric in metrics for name in metric.series}
    names |= {metric.name for metrics in known_metrics().values() for metric in metrics}
    for asked in NAME.findall(re.sub(r"python -m \w+", "", text)):
        assert any(name.startswith(asked) for name in names) or asked.startswith("meetai:"), asked
    for pattern in re.findall(r'grep -E "([^"]+)"', text):
        assert any(re.search(pattern, name + '{status="500"}') for name in names), pattern
    for event in re.findall(r"[Ll]og events? ((?:`\w+`(?:, | and )?)+)", text):
        for name in re.findall(r"`(\w+)`", event):
            assert f'"{name}"' in _code(), name
    for other in re.findall(r"\]\((\w+)\.md\)", text):
        assert other in {alert["alert"] for alert in alerts()}


def _check_request(arguments: list[str]) -> None:
    method = "POST" if "-sX" in arguments and arguments[arguments.index("-sX") + 1] == "POST" else "GET"
    (url,) = [word for word in arguments if word.startswith("$") and "/" in word]
    variable, _, path = url.removeprefix("$").partition("/")
    path = f"/{path.partition('?')[0]}"
    if path in PLATFORM:
        return
    for example, parameter in EXAMPLES.items():
        path = path.replace(example, parameter)
    assert (method, path) in _routes(SERVICES[variable]), (method, path)


@cache
def _routes(service: str) -> frozenset[tuple[str, str]]:
    """What a service answers, by its OpenAPI document."""
    from deploy.observability.source.metrics import applications

    document = applications()[service].openapi_schema.to_schema()
    return frozenset((method.upper(), path) for path, methods in document["paths"].items() for method in methods)


@cache
def _code() -> str:
    sources = [*(ROOT / "services").glob("*/src/**/*.py"), *(ROOT / "libs").glob("*/src/**/*.py")]
    return "\n".join(path.read_text() for path in sources)
