"""`python -m tests.soak --minutes 30`: one long meeting on the whole stack, and what became of it.

Exit 1 when a line that was shown isn't stored as it was, when the transcript isn't proved complete, or when a part has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.bench.comparing import machine
from tests.servers.ports import free_ports
from tests.soak.meeting import hold
from tests.soak.memory import MemoryLog

from meetai_local.demo.captions import HeardCaption
from meetai_local.demo.engine import Engine
from meetai_local.demo.measure import live_differences
from meetai_local.demo.outcome import await_outcome
from meetai_local.inngest_events import received_events
from meetai_local.settings import StackSettings
from meetai_local.stack import Stack

REPOSITORY = Path(__file__).parents[2]
SHOWN_DIFFERENCES = 20
PROGRESS_SECONDS = 60.0


def main() -> int:
    """Hold the meeting and print the report."""
    parser = argparse.ArgumentParser(prog="make soak", description="A long meeting: flat memory, live = stored.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--speakers", type=int, default=4, choices=range(2, 9))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="meetai-soak-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as an account of its own where we are root
        return asyncio.run(_soak(Path(folder), arguments.minutes, arguments.speakers))


async def _soak(folder: Path, minutes: float, speakers: int) -> int:
    settings = StackSettings(
        root=folder / "stack",
        programs=REPOSITORY / ".local",
        ports=free_ports(),
        livekit_server_bin=os.environ.get("LIVEKIT_SERVER_BIN") or None,
        uv=os.environ.get("MEETAI_UV") or None,
        inngest="recorder",
    )
    print(f"{machine()}; {speakers} speakers, {minutes:g} minutes", flush=True)
    async with Stack(settings) as stack, Engine(stack.env) as engine:
        memory, finals = MemoryLog(settings.root), 0

        def count(heard: HeardCaption) -> None:
            nonlocal finals
            finals += heard.caption.final

        async def tell() -> None:
            started = time.monotonic()
            while True:
                await asyncio.sleep(PROGRESS_SECONDS)
                passed = (time.monotonic() - started) / 60
                print(f"{passed:5.1f} min  {finals:6,} lines  {memory.now_mb():7,.0f} MB", flush=True)

        watching = [asyncio.create_task(memory.run(), name="memory"), asyncio.create_task(tell(), name="progress")]
        try:
            captions = await hold(engine, "soak", speakers=speakers, seconds=minutes * 60, on_caption=count)
        finally:
            for task in watching:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        events = functools.partial(received_events, base_url=stack.env["INNGEST_BASE_URL"])
        outcome = await await_outcome(engine, "soak", events)
    differences = live_differences(captions, outcome.lines)
    growths = memory.growths()
    for growth in growths:
        verdict = "flat" if growth.is_flat else "GROWN"
        print(f"{growth.part:20} {growth.warm_mb:7,.0f} MB warm  {growth.end_mb:7,.0f} MB at the end  {verdict}")
    verdict = outcome.integrity.verdict if outcome.integrity else "unknown"
    print(f"{finals:,} lines shown, {len(outcome.lines):,} stored, {len(differences)} differ; integrity {verdict}")
    if outcome.integrity and verdict != "complete":
        print(f"  {outcome.integrity.reason}; missing: {[each.missing for each in outcome.integrity.producers]}")
    for difference in differences[:SHOWN_DIFFERENCES]:
        print(f"  {difference}")
    is_well = not differences and finals and verdict == "complete" and all(growth.is_flat for growth in growths)
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
