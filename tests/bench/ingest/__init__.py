"""The write path and the reading of transcript-ingest."""
