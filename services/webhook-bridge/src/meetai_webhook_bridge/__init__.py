"""webhook-bridge: a finished meeting always starts its work, once.

LiveKit delivers webhooks from memory and soon gives up; Inngest's client can fail without an error. This service stands
between them: a webhook is answered 200 once it is stored, an event is `sent` once Inngest has returned an id for it. What the
agent and transcript-ingest decide comes by the events stream, into the same outbox.

Read `domain` for the rules, `usecases` for what happens, `app` for how it is put together.
"""
