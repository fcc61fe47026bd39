"""livekit-server on 127.0.0.1 only: its configuration, and how it is run. `livekit_program.py` finds the program."""

from __future__ import annotations

from pathlib import Path

import msgspec

from meetai_local.credentials import Credentials, write_private
from meetai_local.part import Kind, Part
from meetai_local.servers.http_ready import http_ready
from meetai_local.servers.livekit_program import Program
from meetai_local.settings import Ports

DEPARTURE_SECONDS = 3  # how soon after the last person has left a room ends; LiveKit's own default is 20


def configuration(ports: Ports, credentials: Credentials) -> dict[str, object]:
    """What livekit-server reads. Without the `rtc` lines it listens on every interface.

    Source: https://github.com/livekit/livekit/blob/v1.13.5/config-sample.yaml
    """
    return {
        "port": ports.livekit,
        "bind_addresses": ["127.0.0.1"],
        "keys": {credentials.livekit_api_key: credentials.livekit_api_secret},
        "rtc": {
            "udp_port": ports.livekit_udp,
            "tcp_port": 0,
            "node_ip": "127.0.0.1",
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo", "lo0"]},
        },
        "webhook": {
            "api_key": credentials.livekit_api_key,
            "urls": [f"http://127.0.0.1:{ports.webhook_bridge}/webhooks/livekit"],
        },
        "room": {"departure_timeout": DEPARTURE_SECONDS, "empty_timeout": 30},
        "logging": {"json": True, "level": "info"},
    }


def part(folder: Path, *, ports: Ports, credentials: Credentials, program: Program) -> Part:
    """livekit-server with its configuration in `folder`; it keeps nothing else."""
    config = folder / "livekit.yaml"

    def lay_out() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_private(config, msgspec.json.format(msgspec.json.encode(configuration(ports, credentials))))

    return Part(
        name="livekit",
        kind=Kind.SERVER,
        folder=folder,
        lay_out=lay_out,
        before=program.before,
        command=program.command_with(config),
        ready=http_ready(f"http://127.0.0.1:{ports.livekit}/"),
        shown_address=f"ws://127.0.0.1:{ports.livekit}",
    )
