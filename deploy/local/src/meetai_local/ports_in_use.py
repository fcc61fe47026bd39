"""Whether the stack's ports are free, and who holds those that aren't.

Owns the check before anything is started. Must not end whoever holds a port.
"""

from __future__ import annotations

import socket

import psutil  # type: ignore[import-untyped]  # ships no types

from meetai_local.settings import Ports, StackSettings

SHOWN_COMMAND_CHARACTERS = 80


def problems(settings: StackSettings) -> list[str]:
    """One line for each port that is taken: the port, its holder if that can be known, and the setting that moves it."""
    lines: list[str] = []
    for field in Ports.__struct_fields__:
        port, is_udp = getattr(settings.ports, field), field.endswith("_udp")
        if field == "inngest" and settings.inngest_url:
            continue  # someone else's server: it is meant to be there
        if _is_taken(port, is_udp=is_udp):
            protocol = "UDP port" if is_udp else "port"
            by = _holder(port, is_udp=is_udp)
            lines.append(f"{protocol} {port} is in use{by}; set {Ports.setting(field)} to choose another")
    return lines


def inngest_elsewhere(settings: StackSettings) -> str | None:
    """The Inngest server to use instead of one of our own, if there is one.

    A shell that has read the stack's own `env` names the stack's own, which went with it.
    """
    own = f"http://127.0.0.1:{settings.ports.inngest}"
    if settings.inngest_url == own and not _is_taken(settings.ports.inngest, is_udp=False):
        return None
    return settings.inngest_url


def _is_taken(port: int, *, is_udp: bool) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM) as probe:
        if not is_udp:  # connections that linger after a stop do not hinder the servers either
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _holder(port: int, *, is_udp: bool) -> str:
    try:
        for connection in psutil.net_connections(kind="udp" if is_udp else "tcp"):
            listens = is_udp or connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr and connection.laddr.port == port and connection.pid:
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f" by pid {connection.pid} ({command[:SHOWN_COMMAND_CHARACTERS]})"
    except (psutil.Error, OSError):  # macOS tells root only
        return ""
    return ""
