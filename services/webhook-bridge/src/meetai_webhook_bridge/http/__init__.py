"""Paths and status codes: `webhooks` for LiveKit, `ledger` for backends and operators."""
