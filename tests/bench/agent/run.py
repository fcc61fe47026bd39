"""The rows of the report about the agent (issue 5, "Bench")."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct
from tests.bench.agent.captioning import Delays, caption_delays
from tests.bench.agent.working import IDLE, Cost, worker_cost
from tests.bench.comparing import Figure, Row, compared
from tests.bench.ingest.paced import percentile
from tests.contract.installing import install
from tests.contract.members import member
from tests.integration.token.livekit_server import livekit_server
from tests.servers.embedded import EmbeddedServer
from tests.servers.ports import free_port
from tests.servers.stacks import settings_in

from meetai_local.servers import valkey

PASSWORD = "for-benchmarks-only"


class Scale(Struct, frozen=True, kw_only=True):
    """How much is measured, how often.

    Attributes:
        rounds, finals: Of captions, so many finals on each side in each round.
        meetings: At once, for memory and CPU, at least 2; 0 leaves the worker out.
        seconds: How long people talk in them.
    """

    rounds: int = 3
    finals: int = 200
    meetings: int = 6
    seconds: float = 15.0


def run(scale: Scale, folder: Path) -> Iterator[Row]:
    """Measure, a row at a time."""
    with ExitStack() as opened:
        data = Path(opened.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="agent-")))
        livekit = opened.enter_context(livekit_server(settings_in(data / "livekit")))
        yield from _caption_rows(
            asyncio.run(caption_delays(livekit.url, data / "spool", finals=scale.finals, rounds=scale.rounds))
        )
        if scale.meetings:
            port = free_port()
            redis = opened.enter_context(
                EmbeddedServer(
                    valkey.part(data / "redis", port=port, password=PASSWORD), url=valkey.url(port, PASSWORD)
                )
            )
            python = install(member("meetai-agent"), data / "venv", "--extra", "local", "--compile-bytecode")
            for name, extra in (("hears", {"LLM": "none"}), ("hears and answers", {})):
                place = data / name.replace(" ", "-")
                place.mkdir()
                cost = asyncio.run(
                    worker_cost(
                        python,
                        place,
                        livekit.url,
                        redis.url,
                        meetings=scale.meetings,
                        seconds=scale.seconds,
                        extra=extra,
                    )
                )
                yield from _cost_rows(name, cost)


def _caption_rows(rounds: list[Delays]) -> Iterator[Row]:
    for share in (50, 99):

        def figure(name: str, delays: list[list[float]], share: int = share) -> Figure:
            return Figure(name, "ms", tuple([percentile(sorted(each), share) for each in delays]))

        peer = figure("RoomIO", [each.room_io for each in rounds])
        packets = figure("meetai.transcript", [each.packets for each in rounds])
        streams = figure("lk.transcription", [each.streams for each in rounds])
        yield compared(f"final to a listener's packet, p{share}", packets, peer, better="lower")
        yield compared(f"final to a stock listener, p{share}", streams, peer, better="lower")


def _cost_rows(name: str, cost: Cost) -> Iterator[Row]:
    goals = (270.0, 25.0) if name == "hears" else (None, None)
    for title, megabytes, goal in (
        (f"worker that {name}, {IDLE} idle processes", cost.idle_mb, goals[0]),
        ("… and for the first meeting", cost.first_mb, None),
        ("… and for each after it", cost.session_mb, goals[1]),
    ):
        yield Row(title, Figure("PSS", "MB", (megabytes,)), goal=goal, better="lower")
    yield Row("… meetings a core, one talking in each", Figure("jobs", "a core", (1 / cost.session_cores,)))
