"""What can go wrong, by what the caller does next."""

from __future__ import annotations


class TokenServiceError(Exception):
    """Base of all that this service raises."""


class RoomsUnavailableError(TokenServiceError):
    """LiveKit didn't answer, or not in time. Asking again is safe: nothing is done twice."""


class GoneError(RoomsUnavailableError):
    """The room or dispatch ended between two calls. Asking again is safe."""


class CallersUnavailableError(TokenServiceError):
    """Whether a caller is who they say can't be told now. Asking again is safe."""


class NotLiveError(TokenServiceError):
    """There is no such meeting now, or no such person in it."""


class RefusedError(TokenServiceError):
    """The caller may not do this.

    Attributes:
        field: Which part of the request is refused, by its name in `TokenRequest`; "" for the whole of it.
        reason: Why, without a value that the caller sent; a sentence where there is no field.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field or 'request'}: {reason}")
        self.field = field
        self.reason = reason


class MetadataTooLargeError(TokenServiceError):
    """The room's metadata would be larger than the contract allows; instructions are what makes it so."""
