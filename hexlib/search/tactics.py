"""What is certain without a network: immediate wins, and moves that an opponent's threats force."""

from hexlib.game.board import BLUE, BOTH_EDGES, EMPTY, RED, root_of
from hexlib.kernel import kernel

OPEN, FORCED, LOST, WON = 0, 1, 2, 3


@kernel
def opponent(colour):
    """The other colour."""
    return BLUE + RED - colour


@kernel
def proven(verdict):
    """The value that a verdict proves for the player to move: +1, −1, or 0 for none."""
    if verdict == WON:
        return 1
    return -1 if verdict == LOST else 0


@kernel
def candidates(cells, chains, edges, colour, neighbours, own_edges, allowed):
    """What the player of `colour` may sensibly play in an unfinished position.

    Fills `allowed` uint8 [A + 1] with 0 or 1 (the last entry is scratch) and returns
      WON     some moves win at once: those are allowed;
      LOST    the opponent has two or more winning cells, of which one stone can block one: those
              are allowed, and the position is lost against any sound play;
      FORCED  the opponent has one winning cell: that alone is allowed;
      OPEN    otherwise: every empty cell is allowed.

    A cell wins for a colour if its own edges and those of the adjoining chains are both edges. They
    are collected from the stones, not from the cells: few stones are joined to an edge.
    """
    area = len(allowed) - 1
    for cell in range(area + 1):
        allowed[cell] = 0
    # For now the edges that a stone here would join: blue's in bits 1 and 2, red's in 4 and 8.
    for cell in range(area):
        # An empty cell is its own root and has no edges. Two steps nearly always reach the root;
        # to look that far without asking is quicker than to guess wrong how far it is.
        root = chains[chains[cell]]
        if chains[root] != root:
            root = root_of(chains, root)
        flags = edges[root]
        if flags:
            if cells[cell] == RED:
                flags <<= 2
            for k in range(6):
                allowed[neighbours[cell, k]] |= flags
    wins, threats = 0, 0
    for cell in range(area):
        blue = ((allowed[cell] & 3) | own_edges[BLUE, cell]) == BOTH_EDGES
        red = ((allowed[cell] >> 2) | own_edges[RED, cell]) == BOTH_EDGES
        mine, theirs = (blue, red) if colour == BLUE else (red, blue)
        # From here on 1 for an empty cell, 2 where I win, 4 where the opponent would.
        allowed[cell] = (1 + 2 * mine + 4 * theirs) if cells[cell] == EMPTY else 0
        wins += allowed[cell] >> 1 & 1
        threats += allowed[cell] >> 2 & 1
    shift = 1 if wins else (2 if threats else 0)
    for cell in range(area):
        allowed[cell] = allowed[cell] >> shift & 1
    if wins:
        return WON
    if threats:
        return FORCED if threats == 1 else LOST
    return OPEN
