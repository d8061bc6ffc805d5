"""SIGINT and SIGTERM end a command at once, or, where it has progress to save, at its next stop."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from hexlib.errors import Interrupted

GRACE_SECONDS = 6.0  # after a signal; what is on disk by then is all that is kept
RETRY_SECONDS = 0.05
STOPPED = "stopped; run the same command again"

_received: list[int] = []
_deferred: list[bool] = []
_ends: list[threading.Timer] = []


def _on_signal(signum: int, frame: FrameType | None) -> None:
    _received.append(signum)
    if len(_received) > 1:
        return  # it is ending
    if not _ends:
        _later(GRACE_SECONDS, os._exit, 128 + signum)
    if not _deferred:
        raise Interrupted(signum, STOPPED)


def _later(seconds: float, act: Callable[..., None], *arguments: int) -> None:
    timer = threading.Timer(seconds, act, arguments)
    timer.daemon = True
    timer.start()
    _ends.append(timer)


def _on_unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Send the signal again where native code that had called Python dropped `Interrupted`."""
    if isinstance(unraisable.exc_value, Interrupted):
        signum = _received[0]
        _received.clear()
        _later(RETRY_SECONDS, os.kill, os.getpid(), signum)
    else:
        sys.__unraisablehook__(unraisable)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Inside the block SIGINT and SIGTERM raise `Interrupted`, until `defer` is called.

    Whatever error leaves the block after such a signal is `Interrupted` too.
    """
    _deferred.clear()  # of a stage that was called outside of any such block
    before = {
        signum: signal.signal(signum, _on_signal) for signum in (signal.SIGINT, signal.SIGTERM)
    }
    hook, sys.unraisablehook = sys.unraisablehook, _on_unraisable
    try:
        yield
    except Exception as error:
        # Native code may swallow `Interrupted` and fail of what it had left half done: torch asks
        # for numpy while it loads, and a second import of numpy fails where the first was stopped.
        if _received and not _deferred and not isinstance(error, Interrupted):
            raise Interrupted(_received[0], STOPPED) from error
        raise
    finally:
        sys.unraisablehook = hook
        _received.clear()
        _deferred.clear()
        while _ends:
            _ends.pop().cancel()
        for signum, handler in before.items():
            signal.signal(signum, handler)


def defer() -> None:
    """From here on a signal only sets a flag, at which the stage looks where its work is whole."""
    _deferred.append(True)


def asked() -> bool:
    """True if a signal has asked for a stop."""
    return bool(_received)


def stop_if_asked(message: str) -> None:
    """Raise `Interrupted` with `message` (how far it is, how to go on) after a signal."""
    if _received:
        raise Interrupted(_received[0], message)
