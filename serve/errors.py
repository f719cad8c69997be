"""What the server refuses beyond vlm.errors: one class per HTTP status, one sentence per refusal.

NadirError
`-- ServeError
    |-- AccessError         no key, or one that is not known
    |-- MissingError        no such raster, or not this key's
    |-- TooLargeError       body, image, pixels or quota over a limit
    |-- FormatError         bytes that are no image format which is served
    |-- RequestError        a request that reads well but cannot be served
    |-- StallError          a client that stopped in the middle of its request
    |-- RateError           more requests of one key than are allowed
    |-- BusyError           the queue or the disk is full: ask again later
    `-- StoppedError        an answer that nobody waits for any more
"""

from __future__ import annotations

from vlm.errors import NadirError


class ServeError(NadirError):
    """Say in a sentence why the server refuses."""


class AccessError(ServeError):
    """Say that a request has no key, or an unknown one."""


class MissingError(ServeError):
    """Say which raster is not there, or not for this key."""


class TooLargeError(ServeError):
    """Say which limit a body, an image or a key's rasters exceed."""


class FormatError(ServeError):
    """Say which bytes are no image format that is served."""


class RequestError(ServeError):
    """Say why a request that reads well cannot be served."""


class StallError(ServeError):
    """Say that a client stopped sending before its request was whole."""


class RateError(ServeError):
    """Say how often a key may ask, and when it may ask again (`retry_s`, seconds)."""

    def __init__(self, sentence: str, *, retry_s: float = 1.0) -> None:
        super().__init__(sentence)
        self.retry_s = retry_s


class BusyError(ServeError):
    """Say what is full at the moment: the queue, or the disk."""


class StoppedError(ServeError):
    """Say that an answer was stopped, because nobody waits for it or the server ends."""
