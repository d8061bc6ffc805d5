"""The symmetries of the Hex board, as permutations of its cells.

The board has a group of four. Two elements keep the sides (identity and the 180° turn); the other
two are reflections that exchange the sides, so that they keep the winner only with colours swapped.
"""

import numpy as np


def rotation(n: int) -> np.ndarray:
    """The 180° turn, int16 [A]: cell c goes to rotation[c]. It keeps the sides of both colours."""
    return np.arange(n * n - 1, -1, -1, dtype=np.int16)


def reflection(n: int) -> np.ndarray:
    """The reflection that exchanges rows and columns, int16 [A]: it must swap the colours, too.

    Top and bottom become left and right, so a board seen through it, colours swapped, is the same
    game from the other player's side. This is how boards are turned for the network.
    """
    return np.arange(n * n, dtype=np.int16).reshape(n, n).T.ravel().copy()


def group(n: int) -> list[tuple[np.ndarray, bool]]:
    """All four symmetries as (permutation int16 [A], whether colours are swapped)."""
    turn, mirror = rotation(n), reflection(n)
    return [
        (np.arange(n * n, dtype=np.int16), False),
        (turn, False),
        (mirror, True),
        (turn[mirror], True),
    ]
