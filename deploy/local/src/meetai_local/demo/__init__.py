"""The demo: simulated people talk in a real room, and what the engine made of it is measured.

- `cues`: the play of `meetai_local.speech` as a plan in seconds, for two to eight people.
- `microphone`, `participant`, `captions`: one simulated person: speaks in real time, hears captions.
- `meeting`: all of them together; what was said and heard, with times.
- `engine`, `outcome`: what the services kept of it, over HTTP.
- `measure`, `report`: figures, and verdicts on one screen.
- `run`: the command.

Everything but `report`, `captions.CaptionPrinter` and `run` is free of printing, so that the end-to-end tests use the same parts.
"""
