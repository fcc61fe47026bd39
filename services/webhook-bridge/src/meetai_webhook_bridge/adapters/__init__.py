"""One file per outside system: LiveKit's webhooks, PostgreSQL, Inngest, Prometheus. Each translates its driver's errors."""
