"""What can go wrong with a local stack. Each error is one text for the person at the terminal, and an exit code."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot start or go on; it has been stopped, or was never started."""

    exit_code = 1


class AlreadyRunningError(StackError):
    """Another `make up` has this root folder."""


class PortsInUseError(StackError):
    """Something else listens where the stack must; nothing has been started."""

    exit_code = 2


class NoLiveKitError(StackError):
    """No livekit-server could be found, built or run; the text says what was tried."""


class PartFailedError(StackError):
    """A part did not start, or ended and may not be started again."""
