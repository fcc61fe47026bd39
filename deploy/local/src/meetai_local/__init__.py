"""The local stack: every server and service on 127.0.0.1 without Docker, and a demo that holds a meeting in it.

`Stack` starts it from Python, `python -m meetai_local up` from a shell; `received_events` reads what reached Inngest.
"""
