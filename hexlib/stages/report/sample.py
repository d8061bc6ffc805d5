"""What a sample of a generation's positions says: how sharp its policies are, how true its values.

A shuffle spreads each game over all buckets, so that any one of them is a fair sample.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hexlib.game.positions import open_positions

MOST = 50_000  # positions that are looked at
BINS = 10  # of the chance to win


@dataclass(frozen=True)
class Sample:
    """Figures of some positions of one generation, for the player to move."""

    positions: int
    entropy: float | None  # mean of the policy targets, in nats
    count: np.ndarray  # int64 [BINS], positions by the chance that the root value gives
    foreseen: np.ndarray  # float [BINS], mean of that chance, NaN in an empty bin
    won: np.ndarray  # int64 [BINS], how many of them were won

    @property
    def error(self) -> float | None:
        """Expected calibration error: mean distance of chance and outcome over the bins.

        Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning".
        """
        known = self.count > 0
        if not known.any():
            return None
        apart = np.abs(self.won[known] / self.count[known] - self.foreseen[known])
        return float(np.average(apart, weights=self.count[known]))


def read_sample(path: Path) -> Sample:
    """The figures of the first positions of a bucket; BadInput where it is damaged."""
    positions = open_positions(path)
    rows = min(len(positions), MOST)
    counts = positions.policy_count[:rows]
    # Of replies it is 0, so that they are no part of the policy.
    entries = positions.policy_probability[: int(counts.sum(dtype=np.int64))].astype(float)
    row_of = np.repeat(np.arange(rows), counts)
    share = entries / np.bincount(row_of, entries, rows)[row_of]
    terms = -share * np.log(np.where(share > 0, share, 1))
    learned = int((counts > 0).sum())
    chance = (1 + positions.root_value[:rows].astype(float)) / 2
    known = np.isfinite(chance)
    chance, won = chance[known], positions.value[:rows][known] > 0
    place = np.minimum((chance * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        foreseen = np.bincount(place, chance, BINS) / count
    return Sample(
        rows,
        float(terms.sum() / learned) if learned else None,
        count,
        foreseen,
        np.bincount(place, won, BINS).astype(int),
    )
