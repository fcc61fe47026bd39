"""The receiver of domain events: an Inngest server that is there already, a dev server of our own, or the recorder.

Owns the order of these ways. What a machine once refused (npx downloads its program while it installs) is remembered, so
that only the first start pays for finding out.
"""

from __future__ import annotations

import shutil
import sys

from msgspec import Struct

from meetai_local.console import Console
from meetai_local.part import Kind, Part
from meetai_local.running import RunningPart, how_it_ended
from meetai_local.servers.http_ready import http_ready
from meetai_local.settings import StackSettings

NPX_PACKAGE = "inngest-cli@1.45.1"
NPX_SECONDS = 90.0
RECORDER = "event recorder"


class Receiver(Struct, frozen=True, kw_only=True):
    """What takes the events. `part` is None where it runs already; `kind` is what a person is told."""

    kind: str
    part: Part | None


class ReceiverSearch:
    """Chooses the receiver for one stack."""

    def __init__(self, settings: StackSettings, *, run: str, console: Console) -> None:
        """Take where to remember a refusal, and whom to tell."""
        self._settings = settings
        self._folder = settings.root / "inngest"
        self._refusal = (settings.programs or settings.root) / "npx-refused"
        self._run = run
        self._console = console

    async def find(self) -> Receiver:
        """The best that can be had here; the recorder always can."""
        if self._settings.inngest_url:
            return Receiver(kind=f"Inngest at {self._settings.inngest_url}", part=None)
        if self._settings.inngest == "recorder":
            return self._recorder()
        if program := shutil.which("inngest"):
            return self._dev_server((program,), origin="PATH")
        if shutil.which("npx") and await self._npx_works():
            return self._dev_server(("npx", "--yes", NPX_PACKAGE), origin="npx")
        return self._recorder()

    async def _npx_works(self) -> bool:
        if self._refusal.exists():
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        self._refusal.parent.mkdir(parents=True, exist_ok=True)
        trial = RunningPart(
            Part(name="inngest-npx", kind=Kind.SERVER, command=(), ready=lambda: None, folder=self._folder),
            root=self._settings.root,
            run=self._run,
        )
        trial.rotate_log()
        async with self._console.moving("inngest", lambda: f"asking npx for {NPX_PACKAGE}"):
            code = await trial.run_to_end(("npx", "--yes", NPX_PACKAGE, "version"), seconds=NPX_SECONDS)
        if code == 0:
            return True
        reason = f"npx {NPX_PACKAGE} {how_it_ended(code)}; see {trial.log_path}"
        self._refusal.write_text(f"{reason}\nremove this file to try again\n", encoding="utf-8")
        self._console.event("inngest", f"npx has no {NPX_PACKAGE} for this machine (not asked again: {self._refusal})")
        return False

    def _dev_server(self, program: tuple[str, ...], *, origin: str) -> Receiver:
        port = self._settings.ports.inngest
        flags = ("dev", "--no-discovery", "--no-poll", "--host", "127.0.0.1", "--port", str(port))
        return Receiver(kind=f"Inngest dev server ({origin})", part=self._part((*program, *flags), port))

    def _recorder(self) -> Receiver:
        port = self._settings.ports.inngest
        module = (sys.executable, "-m", "meetai_local.servers.recorder")
        command = (*module, "--port", str(port), "--folder", str(self._folder.resolve()))
        return Receiver(kind=RECORDER, part=self._part(command, port))

    def _part(self, command: tuple[str, ...], port: int) -> Part:
        return Part(
            name="inngest",
            kind=Kind.SERVER,
            folder=self._folder,
            command=command,
            ready=http_ready(f"http://127.0.0.1:{port}/health"),
            shown_address=f"http://127.0.0.1:{port}",
        )
