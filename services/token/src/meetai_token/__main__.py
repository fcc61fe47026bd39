"""`python -m meetai_token`: serve until SIGTERM."""

from __future__ import annotations

import os
import sys

from meetai_token.app import run

if __name__ == "__main__":
    sys.exit(run(os.environ))
