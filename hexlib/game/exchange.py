"""A game as programs hand it to each other: one at a time, swapped or given up or neither.

`trmph`, `sgf` and `hexworld` read and write it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hexlib.game import board, records
from hexlib.game.board import BLUE, EMPTY, RED
from hexlib.game.notation import COLOUR_NAME


class Game(NamedTuple):
    """One game, with a swap resolved as in `trmph`: blue has made the first move."""

    board_size: int
    moves: Sequence[int]  # cells
    winner: int  # BLUE or RED; EMPTY where the record names none
    swapped: bool  # whether the second player took over the first move

    @property
    def unresolved(self) -> tuple[list[int], int]:
        """Moves and winner as the players of a swapped game saw them, who did not change sides.

        The second player's stone stands on the first of these cells, through the reflection, and
        the first player goes on.
        """
        n = self.board_size
        first, *others = self.moves
        return [first, *(cell % n * n + cell // n for cell in others)], BLUE + RED - self.winner


def judge(game: Game) -> tuple[Game, bool]:
    """The game with its winner, and whether that is by connection; else the other side gave up.

    Raises `ValueError` that says what is wrong: a move on a stone or after the end, a winner who
    did not win, or a game that is not finished and names no winner.
    """
    offsets = np.array([0, len(game.moves)], np.int64)
    one = records.Games(
        game.board_size,
        np.array(game.moves, np.int16),
        offsets,
        np.array([game.winner], np.int8),
    )
    (status,), (ply,), (winner,) = records.replay(one)
    if status == board.OCCUPIED:
        raise ValueError(f"move {ply + 1 + game.swapped} on an occupied cell")
    if status == board.AFTER_END:
        raise ValueError(f"move {ply + 1 + game.swapped} after the end of the game")
    if status == board.UNFINISHED:
        if game.winner == EMPTY:
            raise ValueError("the game is not finished and nobody gave up")
        return game, False
    if game.winner not in (EMPTY, winner):
        raise ValueError(f"wrong winner ({COLOUR_NAME[int(winner)]} won)")
    return game._replace(winner=int(winner)), True
