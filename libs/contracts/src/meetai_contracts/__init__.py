"""What the services, their clients and the browsers say to each other.

Owns the shape of every message that crosses a process boundary: frozen msgspec Structs, their limits and their codecs.
Does no I/O, reads no clock and knows no service.

Each module holds one conversation:

- `room`: what the application tells the agent, in LiveKit room metadata.
- `transcript`: lines and batches from the agent to the store; captions from the agent to the browsers.
- `approval`: the popup that asks a person before the agent acts.
- `events`: what is told to Inngest, and the stream that carries it to webhook-bridge.
- `api`: HTTP bodies of the services.
- `dead_letters`: HTTP bodies for what could not be stored.
- `identifiers`: which meeting ids, identities and names are accepted.
- `codec`: bytes to Structs and back, with one error.
"""
