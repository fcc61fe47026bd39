"""A stack of tiny stand-in programs: `database` and `bus` as servers, `web` and `worker` as services on top.

`python -m tests.integration.local.stand_ins ROOT` runs it until a signal ends it, as `make up` runs the real one.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from tests.servers.ports import free_ports

from meetai_local.composition import Plan
from meetai_local.console import Console
from meetai_local.errors import StackError
from meetai_local.part import Kind, Part
from meetai_local.settings import StackSettings
from meetai_local.stack import Stack

# Says that it serves by a file, takes SIGTERM in good order, and has a child in a session of its own that ignores it.
PROGRAM = """
import os, pathlib, signal, subprocess, sys, time
ready = pathlib.Path(sys.argv[1])
ready.unlink(missing_ok=True)
if "fails-after-first" in sys.argv and ready.with_suffix(".ran").exists():
    sys.exit("this stand-in fails from its second start on")
ready.with_suffix(".ran").touch()
if "has-child" in sys.argv:
    subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"],
                     start_new_session=True)
def stop(*_):
    print("stopped in good order", flush=True)
    with open(ready.with_name("stops"), "a") as stops:
        stops.write(ready.stem + "\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
print("serving", flush=True)
ready.write_text(str(os.getpid()))
while True:
    time.sleep(600)
"""


def stand_in(root: Path, name: str, kind: Kind, *flags: str, after: tuple[str, ...] = ()) -> Part:
    """One stand-in; `fails-after-first` and `has-child` are its flags."""
    serving = root / "serving" / f"{name}.pid"

    def ready() -> str | None:
        return None if serving.exists() else "it has not said so yet"

    return Part(
        name=name,
        kind=kind,
        folder=root / name,
        lay_out=lambda: serving.parent.mkdir(parents=True, exist_ok=True),
        command=(sys.executable, "-c", PROGRAM, str(serving), *flags),
        ready=ready,
        ready_seconds=15,
        stop_seconds=5,
        after=after,
    )


async def compose(plan: Plan) -> tuple[Part, ...]:
    """Two servers, two services."""
    root, servers = plan.settings.root, ("database", "bus")
    return (
        stand_in(root, "database", Kind.SERVER, "has-child"),
        stand_in(root, "bus", Kind.SERVER),
        stand_in(root, "web", Kind.SERVICE, "has-child", after=servers),
        stand_in(root, "worker", Kind.SERVICE, "fails-after-first", after=servers),
    )


async def _main(root: Path) -> int:
    stack = Stack(StackSettings(root=root, ports=free_ports()), compose=compose, console=Console())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stack.request_stop)
    try:
        async with stack:
            await stack.wait()
    except StackError as error:
        print(error, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(Path(sys.argv[1]))))
