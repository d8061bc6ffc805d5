"""The chain of stones that won a game."""

from collections import deque
from collections.abc import Sequence

from hexlib.game.board import OUTSIDE, geometry


def winning_chain(cells: Sequence[int], n: int, colour: int) -> list[int]:
    """A shortest chain of `colour` that joins its two edges, from the first edge to the second.

    `cells` [A or more] as the board module has them, A = n·n. Empty where the edges are not joined.
    """
    neighbours, own_edges = geometry(n)
    stones = [*(int(cell) for cell in cells[: n * n]), OUTSIDE]
    before = {c: -1 for c in range(n * n) if stones[c] == colour and own_edges[colour, c] & 1}
    waiting = deque(before)
    while waiting:
        cell = waiting.popleft()
        if own_edges[colour, cell] & 2:
            chain = [cell]
            while before[chain[-1]] >= 0:
                chain.append(before[chain[-1]])
            return chain[::-1]
        for other in map(int, neighbours[cell]):
            if stones[other] == colour and other not in before:
                before[other] = cell
                waiting.append(other)
    return []
