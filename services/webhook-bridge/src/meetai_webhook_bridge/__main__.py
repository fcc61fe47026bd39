"""`python -m meetai_webhook_bridge [migrate | events …]`: serve until SIGTERM, bring the schema up to date, or ask the ledger."""

from __future__ import annotations

import os
import sys

from meetai_webhook_bridge.app import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], os.environ))
