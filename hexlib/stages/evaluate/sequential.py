"""When a match has told enough: a sequential probability ratio test on pairs of games.

Both games of a pair have the same opening, so they are one observation with a score of 0, ½ or 1.
The test is the generalised one for a mean whose distribution is not known (Van den Bergh, "The
generalized sequential probability ratio test for match results", as chess engines are tested):
LLR ≈ N (s₁ − s₀)(2m − s₀ − s₁) / 2v, of N pairs with mean m and variance v.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from hexlib.ladder import ELO_PER_NAT

ERROR = 0.05  # chance of either wrong verdict
BOUND = float(np.log((1 - ERROR) / ERROR))  # Wald 1945, section 3


@dataclass(frozen=True)
class Sprt:
    """Is a `high` Elo better than b, rather than `low`?"""

    low: float
    high: float

    def ratio(self, pairs: np.ndarray) -> float:
        """Log likelihood ratio of pairs int [3]: lost, split and won by a.

        Half an observation of each kind is added for the variance, so that it is never 0.
        """
        scores = np.array([0, 0.5, 1])
        weights = (pairs + 0.5) / (pairs.sum() + 1.5)
        mean = weights @ scores
        variance = weights @ (scores - mean) ** 2
        low, high = expit(np.array([self.low, self.high]) / ELO_PER_NAT)
        return float(pairs.sum() * (high - low) * (2 * mean - low - high) / (2 * variance))

    def verdict(self, pairs: np.ndarray) -> str | None:
        """`low`, `high`, or None while neither is sure."""
        ratio = self.ratio(pairs)
        if abs(ratio) < BOUND:
            return None
        return "high" if ratio > 0 else "low"
