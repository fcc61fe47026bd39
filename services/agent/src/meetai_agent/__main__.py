"""`python -m meetai_agent`: run a worker until SIGTERM."""

import os
import tempfile

# prometheus_client chooses how it counts across processes when it is first imported.
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="meetai-agent-metrics-"))

from meetai_agent.app import main

if __name__ == "__main__":
    raise SystemExit(main())
