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


def visit_tables(considered: int, budgets: np.ndarray) -> np.ndarray:
    """`considered_visits` for budgets [E] and 0 to `considered` moves.

    Returns int32 [E, considered + 1, max(budgets)]. Of more moves than a budget has simulations
    only as many compete; entries past a budget are 0 and never used.
    """
    tables = np.zeros((len(budgets), considered + 1, max(budgets)), np.int32)
    for effort, budget in enumerate(budgets):
        for moves in range(considered + 1):
            tables[effort, moves, :budget] = considered_visits(min(moves, budget), budget)
    return tables
