"""`python -m meetai_post_meeting`: serve the functions until SIGTERM."""

from __future__ import annotations

import os
import sys

from meetai_post_meeting.app import main

if __name__ == "__main__":
    sys.exit(main(os.environ))
