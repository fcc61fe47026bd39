"""`python -m meetai_agent`: run a worker until SIGTERM."""

import os
import tempfile

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="meetai-agent-metrics-", ignore_cleanup_errors=True) as folder:
        # prometheus_client chooses how it counts across processes when it is first imported.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        # The framework would load a model that guesses whether somebody has finished, 244 MB, which nothing here asks.
        os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
        # glibc would give each of a job's threads memory of its own to allocate from, where what one frees no other takes up.
        os.environ.setdefault("MALLOC_ARENA_MAX", "2")
        import meetai_agent.app.no_terminal  # noqa: F401 - first
        from meetai_agent.app.worker import main

        code = main()
    raise SystemExit(code)
