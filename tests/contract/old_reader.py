"""Run with a release's own packages: which of the messages on standard input can't it read?

In: JSON `{"json": [[name, type, base64], …], "batches": [[name, base64], …]}`. Out: a JSON list of lines, one a message that is
refused. Whatever type that release doesn't know it is never sent. Uses nothing but its `meetai_contracts` and msgspec.
"""

from __future__ import annotations

import sys

import msgspec

from meetai_contracts import codec, schema, transcript


class Given(msgspec.Struct):
    """What is to be read."""

    json: list[tuple[str, str, bytes]]
    batches: list[tuple[str, bytes]]


def main() -> None:
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Given)
    types = {message.__name__: message for message in schema.MESSAGES}
    refused: list[str] = []
    for name, kind, data in given.json:
        if kind in types:
            try:
                codec.decode_json(data, types[kind], max_bytes=1 << 20)
            except codec.ContractError as error:
                refused.append(f"{name}: {error}")
    for name, data in given.batches:
        try:
            transcript.decode_batch(data)
        except codec.ContractError as error:
            refused.append(f"{name}: {error}")
    sys.stdout.buffer.write(msgspec.json.encode(refused))


if __name__ == "__main__":
    main()
