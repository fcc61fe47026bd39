"""`python -m meetai_transcript_ingest`: serve until SIGTERM. `… migrate`, `… dead-letters`: work on the database and end."""

from __future__ import annotations

import os
import sys

from meetai_transcript_ingest.app import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
