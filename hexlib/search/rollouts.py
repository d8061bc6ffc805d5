"""Monte Carlo tree search with random playouts and no network: UCT.

Kocsis and Szepesvári, "Bandit based Monte-Carlo planning", ECML 2006. A playout fills the board: in
Hex exactly one player joins his edges then, the same who would have joined them on the way.
"""

import numpy as np
from numba import njit

from hexlib import rng
from hexlib.game.board import BLUE, EMPTY, RED, geometry, place
from hexlib.search.instant import InstantSearch
from hexlib.search.interface import Positions
from hexlib.search.tactics import opponent

EXPLORATION = 0.7  # c of UCB1, near 1/√2, for results of 0 and 1


@njit(cache=True)
def _playout(cells, chains, edges, colour, key, neighbours, own_edges, order):
    """Fill the rest of a position at random, `colour` first; returns who wins."""
    empty = 0
    for cell in range(len(order)):
        if cells[cell] == EMPTY:
            order[empty] = cell
            empty += 1
    for k in range(empty):
        pick = k + rng.below(key, k, empty - k)
        order[k], order[pick] = order[pick], order[k]
        if place(cells, chains, edges, order[k], colour, neighbours, own_edges):
            return colour
        colour = opponent(colour)
    return EMPTY


@njit(cache=True)
def _best_child(child, visits, wins, node, cells, exploration):
    """The empty cell with the highest upper bound; one that was not tried counts as boundless."""
    total = 0
    for cell in range(child.shape[1]):
        total += visits[node, cell]
    best, best_bound = -1, -1.0
    for cell in range(child.shape[1]):
        if cells[cell] == EMPTY:
            n = visits[node, cell]
            bound = 1e9
            if n > 0:
                bound = wins[node, cell] / n + exploration * np.sqrt(np.log(total) / n)
            if bound > best_bound:
                best, best_bound = cell, bound
    return best


@njit(cache=True)
def _search(cells, chains, edges, colours, keys, simulations, neighbours, own_edges, moves):
    """Fill `moves` int16 [K] with the most visited move of each root."""
    area = cells.shape[1] - 1
    child = np.empty((simulations + 1, area), np.int32)
    visits = np.empty((simulations + 1, area), np.int32)
    wins = np.empty((simulations + 1, area), np.int32)
    path = np.empty((area + 1, 2), np.int32)
    order = np.empty(area, np.int64)
    for k in range(len(colours)):
        child[:], visits[:], wins[:] = -1, 0, 0
        nodes = 1
        for simulation in range(simulations):
            board, forest, flags = cells[k].copy(), chains[k].copy(), edges[k].copy()
            node, depth, colour, winner = 0, 0, colours[k], EMPTY
            while node != -1 and winner == EMPTY:
                move = _best_child(child, visits, wins, node, board, EXPLORATION)
                path[depth, 0], path[depth, 1] = node, move
                depth += 1
                if place(board, forest, flags, move, colour, neighbours, own_edges):
                    winner = colour
                elif child[node, move] == -1:
                    child[node, move] = nodes
                    nodes += 1
                    node = -1
                else:
                    node = child[node, move]
                colour = opponent(colour)
            if winner == EMPTY:
                key = rng.subkey(keys[k], simulation)
                winner = _playout(board, forest, flags, colour, key, neighbours, own_edges, order)
            mover = colours[k]
            for d in range(depth):
                visits[path[d, 0], path[d, 1]] += 1
                wins[path[d, 0], path[d, 1]] += winner == mover
                mover = BLUE + RED - mover
        moves[k] = visits[0].argmax()


class RolloutSearch(InstantSearch):
    """`simulations` playouts a move from a fresh tree, the most visited move played."""

    def __init__(self, slots: int, board_size: int, simulations: int):
        super().__init__(slots, board_size)
        self._simulations = simulations

    def choose(self, positions: Positions, keys: np.ndarray, moves: np.ndarray) -> None:
        """See `InstantSearch`."""
        _search(*positions, keys, self._simulations, *geometry(self.board_size), moves)
