"""What comes after a meeting, as an example: its transcript becomes a summary, by a model or by rules, and is stored.

Read it top-down: `app` → `functions` (the Inngest functions) → `writing` → `model` | `extractive` → `turns`; `engine` talks to
transcript-ingest.
"""
