"""The rules of Hex on flat arrays: union-find with edge flags, compiled by numba.

A board of size n has A = n·n cells, numbered row by row: cell = row·n + column. Blue (1) moves
first and owns top and bottom; red (2) owns left and right. A position is three arrays:

    cells   int8  [A + 1]   EMPTY, BLUE or RED; the last entry is OUTSIDE, which no colour equals
    parent  uint16 [A + 1]  union-find forest over the stones
    edges   uint8 [A + 1]   at a root: which of its colour's two edges the chain touches (bits 1, 2)

Everything here is a pure function of arrays, so that a tree of positions or a batch of games is
only another leading axis.
"""

from functools import cache

import numpy as np
from numba import njit

from hexlib.errors import BadInput
from hexlib.kernel import kernel

EMPTY, BLUE, RED, OUTSIDE = 0, 1, 2, 3
BOTH_EDGES = 3
MIN_SIZE, MAX_SIZE = 3, 19

# Outcomes of replaying a record, see `replay`.
LEGAL, OFF_BOARD, OCCUPIED, AFTER_END, UNFINISHED = 0, 1, 2, 3, 4


def check_size(n: int) -> None:
    """Raise `BadInput` unless n×n is a board size that is played here."""
    if not MIN_SIZE <= n <= MAX_SIZE:
        raise BadInput(f"board size {n}: sizes from {MIN_SIZE} to {MAX_SIZE} are possible; set one")


@cache
def geometry(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Constant tables of an n×n board.

    Returns `neighbours` uint16 [A, 6], in their order around the cell, where a missing neighbour
    is A (the OUTSIDE entry), and `own_edges` uint8 [3, A]: by colour, bit 1 for the top (left) and
    bit 2 for the bottom (right).
    """
    row, column = np.divmod(np.arange(n * n), n)
    steps = [(0, -1), (-1, 0), (-1, 1), (0, 1), (1, 0), (1, -1)]
    # Unsigned, so that numba does not look for negative indices.
    neighbours = np.empty((n * n, 6), np.uint16)
    for k, (down, right) in enumerate(steps):
        r, c = row + down, column + right
        inside = (r >= 0) & (r < n) & (c >= 0) & (c < n)
        neighbours[:, k] = np.where(inside, r * n + c, n * n)
    own_edges = np.zeros((3, n * n), np.uint8)
    own_edges[BLUE] = (row == 0) * 1 + (row == n - 1) * 2
    own_edges[RED] = (column == 0) * 1 + (column == n - 1) * 2
    return neighbours, own_edges


def empty_boards(count: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`count` empty positions: cells [count, A+1], parent [count, A+1], edges [count, A+1]."""
    cells = np.zeros((count, n * n + 1), np.int8)
    cells[:, -1] = OUTSIDE
    parent = np.tile(np.arange(n * n + 1, dtype=np.uint16), (count, 1))
    return cells, parent, np.zeros((count, n * n + 1), np.uint8)


def _runs() -> np.ndarray:
    """For each set of neighbours, where its runs begin: uint8 [64, 4], their number and places.

    Neighbours that follow each other around a cell touch each other. Where they have the same
    colour they are one chain, so it is enough to look at one stone of each run.
    """
    table = np.zeros((64, 4), np.uint8)
    for members in range(1, 64):
        inside = [members >> k & 1 for k in range(6)]
        begins = [k for k in range(6) if inside[k] and not inside[k - 1]] or [0]
        table[members, : 1 + len(begins)] = [len(begins), *begins]
    return table


RUNS = _runs()


@kernel
def root_of(parent, cell):
    """The root of `cell`'s chain, halving the path on the way (Tarjan and van Leeuwen 1984)."""
    while parent[cell] != cell:
        parent[cell] = parent[parent[cell]]
        cell = parent[cell]
    return cell


@kernel
def _friends(cells, cell, colour, neighbours):
    """The neighbours of `cell` that are stones of `colour`, as bits 0 to 5."""
    friends = 0
    for k in range(6):
        friends |= int(cells[neighbours[cell, k]] == colour) << k
    return friends


@kernel
def place(cells, parent, edges, cell, colour, neighbours, own_edges):
    """Put a stone of `colour` on the empty `cell` of a position; True if it joins both edges."""
    cells[cell] = colour
    flags = own_edges[colour, cell]
    runs = RUNS[_friends(cells, cell, colour, neighbours)]
    if runs[0] == 0:
        parent[cell], edges[cell] = cell, flags
        return flags == BOTH_EDGES
    root = root_of(parent, neighbours[cell, runs[1]])
    parent[cell] = root
    flags |= edges[root]
    for k in range(2, runs[0] + 1):
        other = root_of(parent, neighbours[cell, runs[k]])
        parent[other] = root
        flags |= edges[other]
    edges[root] = flags
    return flags == BOTH_EDGES


@kernel
def wins_at(cells, parent, edges, cell, colour, neighbours, own_edges):
    """True if a stone of `colour` on the empty `cell` would connect both edges at once."""
    flags = own_edges[colour, cell]
    runs = RUNS[_friends(cells, cell, colour, neighbours)]
    for k in range(1, runs[0] + 1):
        flags |= edges[root_of(parent, neighbours[cell, runs[k]])]
    return flags == BOTH_EDGES


@njit(cache=True)
def replay(n, moves, offsets, neighbours, own_edges, status, ply, winner):
    """Play records through the rules.

    `moves` int16 [M] of all games one after the other, game g at offsets[g] : offsets[g+1]
    (int64 [G+1]). Fills, for each game, `status` uint8 [G] (LEGAL, or the first thing wrong),
    `ply` int32 [G] (the ply, from 0, at which that happened, or the length) and `winner` int8 [G]
    (BLUE or RED where the last move connects, else EMPTY).
    """
    area = n * n
    cells = np.empty(area + 1, np.int8)
    parent = np.empty(area + 1, np.uint16)
    edges = np.empty(area + 1, np.uint8)
    for game in range(len(offsets) - 1):
        cells[:] = EMPTY
        cells[area] = OUTSIDE
        winner[game] = EMPTY
        status[game] = UNFINISHED
        length = offsets[game + 1] - offsets[game]
        ply[game] = length
        for k in range(length):
            move = moves[offsets[game] + k]
            problem = LEGAL
            if winner[game] != EMPTY:
                problem = AFTER_END
            elif move < 0 or move >= area:
                problem = OFF_BOARD
            elif cells[move] != EMPTY:
                problem = OCCUPIED
            if problem != LEGAL:
                status[game], ply[game] = problem, k
                break
            colour = BLUE + (k & 1)
            if place(cells, parent, edges, move, colour, neighbours, own_edges):
                winner[game] = colour
                status[game] = LEGAL


@njit(cache=True)
def random_games(n, count, seed, neighbours, own_edges, moves, lengths, winners):
    """Play `count` uniformly random games to their end, the winner checked at every move.

    Fills `moves` int16 [count, A] (entries beyond the length are left as they are), `lengths`
    int32 [count] and `winners` int8 [count]. Reproducible from `seed`.
    """
    area = n * n
    cells = np.empty(area + 1, np.int8)
    parent = np.empty(area + 1, np.uint16)
    edges = np.empty(area + 1, np.uint8)
    order = np.empty(area, np.uint16)
    state = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
    for game in range(count):
        for i in range(area):
            order[i] = i
            cells[i] = EMPTY
        cells[area] = OUTSIDE
        for k in range(area):
            state ^= state << np.uint64(13)  # xorshift64 (Marsaglia 2003)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            here = np.uint64(k)
            pick = here + (((state >> np.uint64(32)) * np.uint64(area - k)) >> np.uint64(32))
            move = order[pick]
            order[pick] = order[here]
            moves[game, k] = move
            colour = np.uint8(BLUE + (k & 1))
            if place(cells, parent, edges, move, colour, neighbours, own_edges):
                lengths[game], winners[game] = k + 1, colour
                break
