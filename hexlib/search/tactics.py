"""What is certain without a network: immediate wins, and moves that an opponent's threats force."""

from numba import njit

from hexlib.game.board import BLUE, EMPTY, RED, wins_at

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
    """
    area = len(allowed)
    wins = 0
    for cell in range(area):
        hit = cells[cell] == EMPTY and wins_at(
            cells, chains, edges, cell, colour, neighbours, own_edges
        )
        allowed[cell] = hit
        wins += hit
    if wins:
        return WON
    threats = 0
    other = opponent(colour)
    for cell in range(area):
        hit = cells[cell] == EMPTY and wins_at(
            cells, chains, edges, cell, other, neighbours, own_edges
        )
        allowed[cell] = hit
        threats += hit
    if threats:
        return FORCED if threats == 1 else LOST
    for cell in range(area):
        allowed[cell] = cells[cell] == EMPTY
    return OPEN
