"""What may be done in a meeting, by whom, and what a room must know. Pure: no I/O, no clock.

- `policy`: who may do what.
- `rooms`: what a room must know.
- `limits`: how often somebody may ask.
- `errors`: what can go wrong.
"""
