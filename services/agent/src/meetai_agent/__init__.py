"""The agent: one job a meeting, hearing every participant and writing down what was said.

Read it from the top: `app/worker` builds a worker, `app/job` what it runs for each meeting; `session` turns the room's events into
calls of the use cases; `usecases/transcribe` numbers a final line and hands it to the captions and to `usecases/deliver`,
which gets it into the stream by the rules of `domain/buffer`; `usecases/replay` does the same for jobs that were killed.
"""
