"""SIGINT and SIGTERM ask a stage to stop; it does so where its progress is whole."""

import signal
from types import FrameType

from hexlib.errors import Interrupted

_received: list[int] = []


def _remember(signum: int, frame: FrameType | None) -> None:
    _received.append(signum)


def listen() -> None:
    """From now on SIGINT and SIGTERM only set a flag, which `stop_if_asked` looks at."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _remember)


def asked() -> bool:
    """True if a signal has asked for a stop."""
    return bool(_received)


def stop_if_asked(message: str) -> None:
    """Raise `Interrupted` with `message` (how far it is, how to go on) after a signal."""
    if _received:
        raise Interrupted(_received[0], message)
