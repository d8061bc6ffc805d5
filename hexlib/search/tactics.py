"""What is certain without a network: immediate wins, and moves that an opponent's threats force."""

import numpy as np
from numba import njit

from hexlib.game.board import BLUE, BOTH_EDGES, EMPTY, RED, root_of

OPEN, FORCED, LOST, WON = 0, 1, 2, 3


@njit(cache=True)
def opponent(colour):
    """The other colour."""
    return BLUE + RED - colour


@njit(cache=True)
def candidates(cells, chains, edges, colour, neighbours, own_edges, allowed):
    """What the player of `colour` may sensibly play in an unfinished position.

    Fills `allowed` bool [A] and returns
      WON     some moves win at once: those are allowed;
      LOST    the opponent has two or more winning cells, of which one stone can block one: those
              are allowed, and the position is lost against any sound play;
      FORCED  the opponent has one winning cell: that alone is allowed;
      OPEN    otherwise: every empty cell is allowed.

    A cell wins for a colour if its own edges and those of the adjoining chains are both edges. They
    are collected from the stones, not from the cells: few stones are joined to an edge.
    """
    area = len(allowed)
    reach = np.zeros((3, area + 1), np.uint8)  # by colour: edges that a stone here would join
    for cell in range(area):
        stone = cells[cell]
        if stone != EMPTY:
            flags = edges[root_of(chains, cell)]
            if flags:
                for k in range(6):
                    reach[stone, neighbours[cell, k]] |= flags
    mine, theirs = reach[colour], reach[opponent(colour)]
    my_edges, their_edges = own_edges[colour], own_edges[opponent(colour)]
    wins, threats = 0, 0
    for cell in range(area):
        empty = cells[cell] == EMPTY
        wins += empty and (mine[cell] | my_edges[cell]) == BOTH_EDGES
        threats += empty and (theirs[cell] | their_edges[cell]) == BOTH_EDGES
    if wins:
        for cell in range(area):
            allowed[cell] = cells[cell] == EMPTY and (mine[cell] | my_edges[cell]) == BOTH_EDGES
        return WON
    if threats:
        for cell in range(area):
            joined = theirs[cell] | their_edges[cell]
            allowed[cell] = cells[cell] == EMPTY and joined == BOTH_EDGES
        return FORCED if threats == 1 else LOST
    for cell in range(area):
        allowed[cell] = cells[cell] == EMPTY
    return OPEN
