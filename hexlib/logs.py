"""What a stage says while it runs: everything to its log file, progress to the console as well."""

import logging
import sys
import time
from pathlib import Path

log = logging.getLogger("hexlib")


def start(path: Path | str | None) -> None:
    """Log to `path`, if given, with time stamps, and to stderr in short form."""
    for old in list(log.handlers):
        log.removeHandler(old)
        old.close()
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.raiseExceptions = False  # a full disk is told by the product that does not fit
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(message)s"))
    console.addFilter(lambda record: not getattr(record, "file_only", False))
    log.addHandler(console)
    if path is not None:
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
    """Says every few seconds how far a job is, how fast it goes, and when it will be done."""

    def __init__(self, name: str, unit: str, total: int, done: int = 0, every: float = 10):
        self.name, self.unit, self.total = name, unit, total
        self.every = every  # seconds
        self._first = done  # what an earlier start had done counts for the share, not for the rate
        self._begun = self._said = time.monotonic()

    def update(self, done: int, extra: str = "") -> None:
        """Say it if it is time; `done` of the total, `extra` is appended."""
        now = time.monotonic()
        if now - self._said >= self.every:
            self._said = now
            log.info(self._line(done, now, extra))

    def _line(self, done: int, now: float, extra: str) -> str:
        rate = (done - self._first) / max(now - self._begun, 1e-9)
        left = f", {duration((self.total - done) / rate)} left" if rate > 0 else ""
        return (
            f"{self.name}: {done:,} of {self.total:,} {self.unit}, {rate:,.0f}/s{left}"
            f"{', ' + extra if extra else ''}"
        )

    def finish(self, done: int, extra: str = "") -> None:
        """Say what was done in all, and how fast."""
        seconds = time.monotonic() - self._begun
        rate = (done - self._first) / max(seconds, 1e-9)
        log.info(
            f"{self.name}: {done:,} {self.unit} in {duration(seconds)}, {rate:,.0f}/s"
            f"{', ' + extra if extra else ''}"
        )
