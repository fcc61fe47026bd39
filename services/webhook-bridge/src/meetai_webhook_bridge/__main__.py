"""`python -m meetai_webhook_bridge [migrate]`: serve until SIGTERM, or bring the schema up to date."""

from __future__ import annotations

import os
import sys

from meetai_webhook_bridge.app import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], os.environ))
