"""What a stage says while it runs: everything to its log file, progress to the console as well."""

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from hexlib.hold import VARIABLE

log = logging.getLogger("hexlib")

DONE = "done in "  # how the last line of the log of a job that is done begins


class _Console(logging.StreamHandler):
    """Writes to what is stderr at the time: a progress bar puts itself in its place."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        pass


def start(path: Path | str | None) -> None:
    """Log to `path`, if given, with time stamps, and to stderr in short form.

    Of several processes that share a job the first speaks, and the others tell of errors alone.
    """
    for old in list(log.handlers):
        log.removeHandler(old)
        old.close()
    first = os.environ.get("RANK", "0") == "0"  # as torchrun numbers them
    log.setLevel(logging.INFO if first else logging.ERROR)
    log.propagate = False
    logging.raiseExceptions = False  # a full disk is told by the product that does not fit
    console = _Console()
    console.setFormatter(logging.Formatter("%(message)s"))
    console.addFilter(lambda record: not getattr(record, "file_only", False))
    log.addHandler(console)
    if path is not None and first:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)


def detail(message: str, *arguments: object) -> None:
    """A line for the log file alone."""
    log.info(message, *arguments, extra={"file_only": True})


def duration(seconds: float) -> str:
    """For people: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    seconds = round(seconds)
    if seconds < 100:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 100:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """Says every few seconds how far a job is, how fast it goes, and when it will be done.

    On a terminal that is a bar, unless the job is one of several that a workflow has at work there.
    """

    def __init__(self, name: str, unit: str, total: int, done: int = 0, every: float = 10):
        self.name, self.unit, self.total = name, unit, total
        self.every = every  # seconds
        self._first = done  # what an earlier start had done counts for the share, not for the rate
        self._begun = self._said = time.monotonic()
        alone = sys.stderr.isatty() and VARIABLE not in os.environ
        self._bar = _Bar(name, unit, total) if alone else None

    def update(self, done: int, extra: Callable[[], str] = str) -> None:
        """Say it if it is time; `done` of the total, what `extra` returns is appended."""
        now = time.monotonic()
        if self._bar:
            self._bar.show(done, self._rate(done, now))
        if now - self._said >= self.every:
            self._said = now
            (detail if self._bar else log.info)("%s", self._line(done, now, extra()))

    def _rate(self, done: int, now: float) -> float:
        return (done - self._first) / max(now - self._begun, 1e-9)

    def _line(self, done: int, now: float, extra: str) -> str:
        rate = self._rate(done, now)
        left = f", {duration((self.total - done) / rate)} left" if rate > 0 else ""
        return (
            f"{self.name}: {done:,} of {self.total:,} {self.unit}, {rate:,.0f}/s{left}"
            f"{', ' + extra if extra else ''}"
        )

    def finish(self, done: int, extra: str = "") -> None:
        """Say what was done in all, and how fast."""
        now = time.monotonic()
        if self._bar:
            self._bar.close()
        log.info(
            f"{self.name}: {done:,} {self.unit} in {duration(now - self._begun)},"
            f" {self._rate(done, now):,.0f}/s{', ' + extra if extra else ''}"
        )


class _Bar:
    """A bar on the terminal, with rate and time left."""

    def __init__(self, name: str, unit: str, total: int):
        import atexit

        from rich import progress
        from rich.console import Console

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn(f"{{task.completed:,.0f}} of {{task.total:,.0f}} {unit}"),
            progress.TextColumn("{task.fields[rate]:,.0f}/s"),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(name, total=total, rate=0.0)
        self._progress.start()
        atexit.register(self._progress.stop)  # however the job ends, the cursor is to come back

    def show(self, done: int, rate: float) -> None:
        """Draw it, if it is time."""
        self._progress.update(self._task, completed=done, rate=rate)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()
