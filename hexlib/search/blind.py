"""Moves by lot, with or without a look at what wins or loses at once."""

import numpy as np

from hexlib import rng
from hexlib.game.board import EMPTY, geometry
from hexlib.kernel import kernel
from hexlib.search import tactics
from hexlib.search.instant import InstantSearch
from hexlib.search.interface import Positions


@kernel
def _draw(cells, chains, edges, colours, keys, looks, neighbours, own_edges, allowed, moves):
    """Fill `moves` int16 [K] with one of the empty cells, or, if it `looks`, of the candidates."""
    for k in range(len(colours)):
        if looks:
            tactics.candidates(
                cells[k], chains[k], edges[k], colours[k], neighbours, own_edges, allowed
            )
        else:
            for cell in range(len(allowed) - 1):
                allowed[cell] = cells[k, cell] == EMPTY
        count = 0
        for cell in range(len(allowed) - 1):
            count += allowed[cell]
        pick = rng.below(keys[k], 0, count)
        for cell in range(len(allowed) - 1):
            if allowed[cell]:
                if pick == 0:
                    moves[k] = cell
                pick -= 1


class BlindSearch(InstantSearch):
    """Plays at random; with `looks` it takes a win, and blocks one that threatens."""

    def __init__(self, slots: int, board_size: int, looks: bool):
        super().__init__(slots, board_size)
        self._looks = looks

    def choose(self, positions: Positions, keys: np.ndarray, moves: np.ndarray) -> None:
        """See `InstantSearch`."""
        allowed = np.zeros(self.board_size**2 + 1, np.uint8)
        _draw(*positions, keys, self._looks, *geometry(self.board_size), allowed, moves)
