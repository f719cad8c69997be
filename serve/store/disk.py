"""What a disk that refuses becomes: a sentence, and 503."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from serve.errors import BusyError
from vlm.errors import OutputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn the refusal of a full or failing disk into a BusyError."""
    try:
        yield
    except (OSError, OutputError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in _FULL:
            raise
        raise BusyError(f"the server's disk refuses ({cause.strerror}): nothing was kept; ask again later") from error
