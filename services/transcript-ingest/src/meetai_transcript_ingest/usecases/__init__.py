"""What the service does, over its ports. Must not know which servers stand behind them.

- `store`: what arrives is made durable, and acknowledged after.
- `erase`: a meeting is forgotten.
- `expire`: what is older than the retention is forgotten.
- `publish`: what was decided is told on the events stream.
- `redrive`: what could not be stored is stored after all, or discarded.
- `follow`: a meeting's lines as they come, from any place on.
- `place`: what an upgrade leaves without a position gets one.
- `read`: pages of a transcript, and the proof that it is complete.
- `export`: a whole transcript as a file.
- `search`: lines by their words, and the index of these.
"""

from __future__ import annotations

from meetai_transcript_ingest.usecases.export import ExportTranscript
from meetai_transcript_ingest.usecases.read import ProveTranscript, ReadTranscript
from meetai_transcript_ingest.usecases.store import StoreEntries

__all__ = ["ExportTranscript", "ProveTranscript", "ReadTranscript", "StoreEntries"]
