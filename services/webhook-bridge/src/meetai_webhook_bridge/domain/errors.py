"""What goes wrong here. Each subclass says what the caller does next."""

from __future__ import annotations

from meetai_servicekit.patience import TryLaterError


class BridgeError(Exception):
    """Anything this service raises on purpose. Each subclass says what the caller does next."""


class RetryError(BridgeError, TryLaterError):
    """Something outside is away; nothing is lost, the same call may be made again."""


class RejectError(BridgeError):
    """The input will never be acceptable; it must not be tried again.

    Attributes:
        reason: In a word or a few, without any of the input; for logs, not for the sender.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreAwayError(RetryError):
    """The database didn't answer in time, or not at all."""


class LiveKitAwayError(RetryError):
    """LiveKit's API didn't answer, or not in time."""


class RoomGoneError(LiveKitAwayError):
    """LiveKit knows no such room."""


class NodeSilentError(LiveKitAwayError):
    """LiveKit lists the room, and the node that it was on doesn't answer."""


class SendError(RetryError):
    """It isn't certain that the event was taken.

    Attributes:
        reason: A word, stored with the event; never a message, which could quote data.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ForgedWebhookError(RejectError):
    """Not signed by a key that we know, not for this body, or not for now."""


class MalformedWebhookError(RejectError):
    """Signed, and yet not a webhook."""


class NoEventError(RejectError):
    """A webhook that ought to become an event and can't; it is stored all the same."""


class NoSuchEventError(RejectError):
    """The ledger has no event of this id."""


class UnreplayableEventError(RejectError):
    """What the ledger lists under this id is no event: there is nothing that could be delivered."""
