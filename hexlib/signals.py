"""SIGINT and SIGTERM ask a stage to stop; it does so where its progress is whole."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from hexlib.errors import Interrupted

_received: list[int] = []


def _remember(signum: int, frame: FrameType | None) -> None:
    _received.append(signum)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Inside the block SIGINT and SIGTERM only set a flag, which `stop_if_asked` looks at."""
    before = {
        signum: signal.signal(signum, _remember) for signum in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        _received.clear()
        for signum, handler in before.items():
            signal.signal(signum, handler)


def asked() -> bool:
    """True if a signal has asked for a stop."""
    return bool(_received)


def stop_if_asked(message: str) -> None:
    """Raise `Interrupted` with `message` (how far it is, how to go on) after a signal."""
    if _received:
        raise Interrupted(_received[0], message)
