"""The process that outlives a killed supervisor just long enough to end everything it had started.

Run as `python -m meetai_local.guardian ROOT RUN` with a pipe from the supervisor as standard input. The pipe closes when
the supervisor ends, however it ends. Must not listen to a terminal's signals: it has a session of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from meetai_local import lineage


def command(root: Path, run: str) -> tuple[str, ...]:
    """How to start the guardian of one run; the caller keeps the writing end of its standard input open."""
    return (sys.executable, "-m", "meetai_local.guardian", str(root.resolve()), run)


def main() -> None:
    """Wait for the supervisor's end, then end what it left."""
    root, run = Path(sys.argv[1]), sys.argv[2]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(sys.stdin.fileno(), 1):
        pass
    lineage.end(root, run)


if __name__ == "__main__":
    main()
