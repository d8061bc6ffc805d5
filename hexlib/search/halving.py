"""Sequential halving at the root (Karnin et al. 2013, as in Danihelka et al. 2022, figure 1)."""

import numpy as np


def considered_visits(considered: int, simulations: int) -> list[int]:
    """For each simulation, how many visits the move that is to get it has had.

    Of the `considered` best moves each gets a visit, then the better half, and so on, so that each
    round costs about the same and all `simulations` are used; each move of the last round is one of
    the two or more most visited.
    """
    if considered <= 1:
        return list(range(simulations))
    rounds = int(np.ceil(np.log2(considered)))
    sequence: list[int] = []
    visits = [0] * considered
    remaining = considered
    while len(sequence) < simulations:
        extra = max(1, int(simulations / (rounds * remaining)))
        for _ in range(extra):
            sequence.extend(visits[:remaining])
            for k in range(remaining):
                visits[k] += 1
        remaining = max(2, remaining // 2)
    return sequence[:simulations]


def visit_table(considered: int, simulations: int) -> np.ndarray:
    """`considered_visits` for 0 to `considered` moves, int32 [considered + 1, simulations]."""
    return np.array([considered_visits(m, simulations) for m in range(considered + 1)], np.int32)
