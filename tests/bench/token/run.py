"""The rows of the report about the token service (issue 6, "Speed"): each server has one core, the load and LiveKit the other.

The peers are plain, idiomatic code: they compare one key in constant time, validate the body by their framework, and make the token by
the SDK, with the same room configuration. Ours tells several keys and their scopes apart, applies the policy, counts the
caller's requests, checks ids and names as Unicode has them, measures, and writes an audit line for every token, to /dev/null here. Nobody
writes an access log beside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct
from tests.bench.comparing import Figure, Row, compared
from tests.integration.token.livekit_server import API_KEY, API_SECRET, livekit_server
from tests.servers.node import FOLDER, node_program, run_script
from tests.servers.ports import free_port
from tests.servers.stacks import settings_in
from tests.waiting import wait_until

from meetai_servicekit.auth import new_service_key

REPOSITORY = Path(__file__).parents[3]
KEY, ENTRY = new_service_key("bench", frozenset({"tokens:host"}))
START_SECONDS = 60
CONNECTIONS = 16
MEETINGS = 64
NO_LIMIT = "1000000000"


class Scale(Struct, frozen=True, kw_only=True):
    """How long each server is kept busy in each round, and how many rounds there are."""

    rounds: int = 3
    seconds: int = 4


class Load(Struct, frozen=True, rename="camel"):
    """What came of it."""

    per_second: float
    p99_ms: float
    created: int
    failed: int


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """Measure, a row at a time.

    Raises:
        RuntimeError: no Node.js, or a server that didn't answer every request with a token.
    """
    node = node_program()
    if node is None:
        raise RuntimeError("no node and npm on this machine")
    with ExitStack() as opened:
        data = Path(opened.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="token-")))
        livekit = opened.enter_context(livekit_server(settings_in(data / "stack")))
        for title, ensure in (("minting alone", False), ("ensuring the room as well", True)):
            yield from _rows(scale, node, livekit.url, title, ensure=ensure)


def _rows(scale: Scale, node: str, livekit_url: str, title: str, *, ensure: bool) -> Iterator[Row]:
    peer = {"KEY": KEY, "API_KEY": API_KEY, "API_SECRET": API_SECRET, "ENSURE": str(int(ensure))}
    own = {"LIVEKIT_API_KEY": API_KEY, "LIVEKIT_API_SECRET": API_SECRET, "SERVICE_KEYS": ENTRY}
    module = "meetai_token" if ensure else "tests.bench.token.ours"
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "ours": ([sys.executable, "-m", module], {**own, "RATE_LIMIT_KEY": NO_LIMIT}),
        "FastAPI + livekit-api": ([sys.executable, "-m", "tests.bench.token.fastapi_peer"], peer),
        "fastify + livekit-server-sdk": ([node, str(FOLDER / "fastify_peer.mjs")], peer),
    }
    loads: dict[str, list[Load]] = {name: [] for name in commands}
    for number in range(scale.rounds):
        for name, (command, environment) in list(commands.items())[:: 1 if number % 2 == 0 else -1]:
            with _serving(command, {**environment, "LIVEKIT_URL": livekit_url}) as base:
                loads[name].append(_load(node, base, scale.seconds, f"{name}-{number}"))
    ours = loads.pop("ours")
    for name, theirs in loads.items():
        goal = 2.0 if name.startswith("FastAPI") else 0.9
        yield compared(f"{title}: tokens", _figure("ours", "/s", ours), _figure(name, "/s", theirs), goal=goal)
        yield compared(
            f"{title}: p99, {CONNECTIONS} at once",
            _figure("ours", "ms", ours),
            _figure(name, "ms", theirs),
            better="lower",
        )


def _figure(name: str, unit: str, loads: list[Load]) -> Figure:
    return Figure(name, unit, tuple([load.per_second if unit == "/s" else load.p99_ms for load in loads]))


def _load(node: str, base: str, seconds: int, name: str) -> Load:
    urls = [f"{base}/v1/meetings/{name.split(maxsplit=1)[0]}-{number}/tokens" for number in range(MEETINGS)]
    environment = {"URLS": json.dumps(urls), "KEY": KEY, "SECONDS": str(seconds), "CONNECTIONS": str(CONNECTIONS)}
    got: dict[str, Any] = run_script(node, "load.mjs", seconds=120, **environment)
    load = Load(got["perSecond"], got["p99Ms"], got["created"], got["failed"])
    if load.failed or not load.created:
        raise RuntimeError(f"{name}: {load.failed} requests failed, {load.created} didn't")
    return load


@contextmanager
def _serving(command: list[str], environment: Mapping[str, str]) -> Iterator[str]:
    """A server on the first core, everything else of this run on the others."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    cores = sorted(os.sched_getaffinity(0))
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **environment, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        os.sched_setaffinity(process.pid, cores[:1])
        wait_until(lambda: _answers(base, process), seconds=START_SECONDS)
        yield base
    finally:
        process.kill()
        process.wait(timeout=10)


def _answers(base: str, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
    try:
        answer = httpx.post(
            f"{base}/v1/meetings/first/tokens",
            json={"userId": "u", "userName": "Ann"},
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=5,
        )
    except httpx.TransportError:
        return False
    return answer.status_code == 201
