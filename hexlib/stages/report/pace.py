"""How fast self-play went, from the last lines of its logs."""

import re
from dataclasses import dataclass
from pathlib import Path

LAST_LINE = re.compile(
    r"selfplay .*: [\d,]+ games in (?P<time>[\dhmins ]+), .*"
    r"?(?P<asked>[\d,]+) positions asked for, (?P<known>\d+)% of them in the cache"
)
SECONDS = {"h": 3600, "min": 60, "s": 1}


@dataclass(frozen=True)
class Pace:
    """Sums over the shards of one generation, of their last start each."""

    seconds: float
    asked: int  # positions that the searches wanted evaluated
    evaluated: float  # of those, the ones that were in no cache

    @property
    def hit_rate(self) -> float:
        """Share of the positions that were in the cache."""
        return 1 - self.evaluated / self.asked

    @property
    def rate(self) -> float:
        """Evaluations of the network a second, of one job."""
        return self.evaluated / self.seconds


def read_pace(folder: Path) -> Pace | None:
    """The pace of the shards whose logs lie in `folder`; None where no log says it."""
    seconds, asked, evaluated = 0.0, 0, 0.0
    for path in sorted(folder.glob("shard_*.log")):
        for found in LAST_LINE.finditer(path.read_text(errors="replace")):
            here = int(found["asked"].replace(",", ""))
            parts = re.findall(r"(\d+) (h|min|s)", found["time"])
            seconds += sum(int(number) * SECONDS[unit] for number, unit in parts)
            asked += here
            evaluated += here * (1 - int(found["known"]) / 100)
    return Pace(seconds, asked, evaluated) if asked and seconds else None
