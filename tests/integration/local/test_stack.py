"""The stack from Python: order, crashes, restarts, and an end that leaves nothing."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from pathlib import Path

import msgspec
import pytest
from tests.integration.local.stand_ins import compose
from tests.servers.ports import free_ports
from tests.waiting import until

from meetai_local import client_environment, lineage
from meetai_local.console import Console
from meetai_local.errors import AlreadyRunningError, PartFailedError, PortsInUseError
from meetai_local.settings import StackSettings
from meetai_local.stack import Stack


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    """A stack of its own."""
    return StackSettings(root=tmp_path, ports=free_ports())


async def _crash(stack: Stack, part: str) -> None:
    """Kill a part behind the stack's back, and wait for the stack's end."""
    async with stack:
        os.kill(stack.pid(part), signal.SIGKILL)
        await stack.wait()


async def test_environment_is_written_only_while_everything_is_ready(settings: StackSettings) -> None:
    """A client that finds the file can use what it names."""
    async with Stack(settings, compose=compose) as stack:
        assert client_environment.read(settings.root / "env") == stack.env
        assert {stack.log(part).strip() for part in ("database", "bus", "web", "worker")} == {"serving"}
    assert not (settings.root / "env").exists()
    assert stack.leftovers() == []


async def test_services_stop_before_servers(settings: StackSettings) -> None:
    """A service flushes into the servers as it stops."""
    async with Stack(settings, compose=compose):
        pass
    stops = (settings.root / "serving" / "stops").read_text().split()
    assert set(stops[:2]) == {"web", "worker"}
    assert set(stops[2:]) == {"database", "bus"}


async def test_service_is_started_again_when_it_is_killed(settings: StackSettings) -> None:
    """Its children go with it, it gets a new process, and the person reads of it."""
    out = io.StringIO()
    async with Stack(settings, compose=compose, console=Console(out)) as stack:
        before = stack.pid("web")
        await stack.kill("web")
        await stack.ready("web")
        assert stack.pid("web") != before
    assert "!! was ended by SIGKILL; starting it again" in out.getvalue()


async def test_service_stays_down_when_restarts_are_off(settings: StackSettings) -> None:
    """A test decides when it comes back."""
    settings = msgspec.structs.replace(settings, restarts_services=False)
    async with Stack(settings, compose=compose) as stack:
        await stack.kill("web")
        with pytest.raises(PartFailedError):
            stack.pid("web")
        await stack.start("web")
        os.kill(stack.pid("web"), 0)


async def test_stack_stops_when_a_service_keeps_crashing(settings: StackSettings) -> None:
    """Five restarts a minute, then everything stops with the service's last words."""
    out = io.StringIO()
    stack = Stack(settings, compose=compose, console=Console(out))
    with pytest.raises(PartFailedError, match=r"worker ended with exit code 1, after 5 restarts") as caught:
        await _crash(stack, "worker")
    assert "this stand-in fails from its second start on" in str(caught.value)
    assert out.getvalue().count("starting it again") == 5
    assert stack.leftovers() == []


async def test_stack_stops_when_a_server_crashes(settings: StackSettings) -> None:
    """Without it nothing works; the error names it."""
    stack = Stack(settings, compose=compose)
    with pytest.raises(PartFailedError, match=r"^bus was ended by SIGKILL"):
        await _crash(stack, "bus")
    assert not (settings.root / "env").exists()
    assert stack.leftovers() == []


async def test_server_comes_back_when_a_test_restarts_it(settings: StackSettings) -> None:
    """Fault tests take a server away and bring it back under the services."""
    async with Stack(settings, compose=compose) as stack:
        await stack.kill("bus")
        await stack.start("bus")
        await stack.restart("database")
        assert stack.pid("bus") != stack.pid("database")


async def test_second_stack_is_refused_when_one_runs_in_the_same_folder(settings: StackSettings) -> None:
    """One line, and the running one is left alone."""
    async with Stack(settings, compose=compose) as stack:
        pids = {part: stack.pid(part) for part in ("database", "web")}
        with pytest.raises(AlreadyRunningError, match=f"pid {os.getpid()}"):
            async with Stack(msgspec.structs.replace(settings, ports=free_ports()), compose=compose):
                pass
        assert {part: stack.pid(part) for part in pids} == pids
        assert (settings.root / "env").exists()


async def test_inngest_is_our_own_when_it_is_named_and_nobody_is_there(settings: StackSettings) -> None:
    """A shell that has read the `env` of an earlier run names it; where somebody is there, it's theirs."""
    own = f"http://127.0.0.1:{settings.ports.inngest}"
    named = msgspec.structs.replace(settings, inngest_url=own)
    stack = Stack(named, compose=compose)
    async with stack:
        assert stack.settings.inngest_url is None
        assert stack.env["INNGEST_DEV"] == own
    elsewhere = await asyncio.start_server(lambda *_: None, "127.0.0.1", settings.ports.inngest)
    stack = Stack(named, compose=compose)
    async with elsewhere, stack:
        assert stack.settings.inngest_url == own


async def test_ports_in_use_are_all_named_before_anything_starts(settings: StackSettings) -> None:
    """Port, holder and setting, for every port that is taken."""
    ports = settings.ports
    held = [await asyncio.start_server(lambda *_: None, "127.0.0.1", port) for port in (ports.token, ports.redis)]
    udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", ports.livekit_udp)
    )
    try:
        with pytest.raises(PortsInUseError) as caught:
            async with Stack(settings, compose=compose):
                pass
    finally:
        udp.close()
        for server in held:
            server.close()
    lines = str(caught.value).splitlines()
    assert [line.split("set ")[1].split()[0] for line in lines] == [
        "MEETAI_LIVEKIT_UDP_PORT",
        "MEETAI_REDIS_PORT",
        "MEETAI_TOKEN_PORT",
    ]
    assert all(f"in use by pid {os.getpid()} (" in line for line in lines)
    assert not (settings.root / "database").exists()


async def test_guardian_is_replaced_when_it_is_killed(settings: StackSettings) -> None:
    """The promise that nothing is left holds again at once."""
    out = io.StringIO()
    async with Stack(settings, compose=compose, console=Console(out)):
        guardians = await asyncio.to_thread(_guardians_of, settings.root)
        assert len(guardians) == 1
        os.kill(guardians[0], 9)
        await until(lambda: [pid for pid in _guardians_of(settings.root) if pid not in guardians] != [], seconds=10)
    await until(lambda: _guardians_of(settings.root) == [], seconds=10)
    assert "the guardian process was ended by SIGKILL; starting another" in out.getvalue()


async def test_start_ends_what_a_killed_run_left(settings: StackSettings) -> None:
    """Also when its guardian was killed with it."""
    marked = {lineage.ROOT_KEY: str(settings.root), lineage.RUN_KEY: "earlier", lineage.PART_KEY: "1:15:web"}
    stray = await asyncio.create_subprocess_exec("sleep", "600", env={**os.environ, **marked}, start_new_session=True)
    out = io.StringIO()
    async with Stack(settings, compose=compose, console=Console(out)):
        assert await stray.wait() == -15
    assert f"ended what an earlier, killed run had left: web (pid {stray.pid}: sleep 600)" in out.getvalue()


def _guardians_of(root: Path) -> list[int]:
    import psutil  # type: ignore[import-untyped]  # ships no types

    arguments = ["-m", "meetai_local.guardian", str(root)]
    processes = psutil.process_iter(["cmdline"])
    return [process.pid for process in processes if (process.info["cmdline"] or [])[1:4] == arguments]
