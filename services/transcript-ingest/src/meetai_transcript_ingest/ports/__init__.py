"""What the use cases need of the world outside. Adapters keep these promises; fakes pass the same tests.

Every method raises `TryLaterError` where its server can't answer now.

- `stores`: what is kept.
- `streams`: what goes out.
- `search`: by which words lines are found.
- `observers`: who counts.
- `callers`: who asks.
"""

from __future__ import annotations

from meetai_transcript_ingest.ports.callers import MAX_PARTICIPANT_TOKEN_BYTES, ParticipantTokens, Pass
from meetai_transcript_ingest.ports.observers import Observer, ReadingObserver
from meetai_transcript_ingest.ports.search import SearchIndex, SearchObserver
from meetai_transcript_ingest.ports.stores import (
    Archive,
    Committed,
    DeadLetters,
    Erasures,
    LineStore,
    Retention,
    Rewritten,
    Summaries,
    Upgrade,
)
from meetai_transcript_ingest.ports.streams import (
    EventsStream,
    Outbox,
    Unsent,
    Wakeups,
)

__all__ = [
    "MAX_PARTICIPANT_TOKEN_BYTES",
    "Archive",
    "Committed",
    "DeadLetters",
    "Erasures",
    "EventsStream",
    "LineStore",
    "Observer",
    "Outbox",
    "ParticipantTokens",
    "Pass",
    "ReadingObserver",
    "Retention",
    "Rewritten",
    "SearchIndex",
    "SearchObserver",
    "Summaries",
    "Unsent",
    "Upgrade",
    "Wakeups",
]
