"""Where a game stands, with a swap as second move if there was one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hexlib.game.board import BLUE, EMPTY, RED, empty_boards, geometry, place
from hexlib.game.chain import winning_chain
from hexlib.game.notation import COLOUR_NAME, cell_name
from hexlib.search.interface import Positions


@dataclass(frozen=True)
class Standing:
    """A position and how it came about."""

    size: int
    moves: tuple[int, ...]  # cells; a second one equal to the first is a swap
    position: Positions  # of one game, [1, …]
    winner: int  # BLUE, RED or EMPTY

    @property
    def to_move(self) -> int:
        """BLUE or RED; after a swap blue, whose stone has become red, moves again."""
        return BLUE + len(self.moves) % 2

    @property
    def stones(self) -> np.ndarray:
        """int8 [A]: EMPTY, BLUE or RED."""
        return self.position.cells[0, :-1]

    @property
    def chain(self) -> list[int]:
        """The cells that join the winner's edges; none while the game goes on."""
        return winning_chain(self.stones.tolist(), self.size, self.winner) if self.winner else []


def standing_after(n: int, moves: Sequence[int]) -> Standing:
    """Play moves (cells) on an empty n×n board; ValueError that names the move that is illegal."""
    moves = tuple(moves)
    neighbours, own_edges = geometry(n)
    cells, chains, edges = empty_boards(1, n)
    winner = EMPTY
    for ply, move in enumerate(moves):
        if not 0 <= move < n * n:
            raise ValueError(f"move {ply + 1}: {move} is no cell of a {n}×{n} board")
        if winner:
            raise ValueError(f"move {ply + 1}: the game was over before, {COLOUR_NAME[winner]} won")
        if ply == 1 and move == moves[0]:  # the stone changes its colour, so all starts anew
            cells, chains, edges = empty_boards(1, n)
        if cells[0, move] != EMPTY:
            raise ValueError(f"move {ply + 1}: {cell_name(move, n)} is not empty")
        colour = BLUE + ply % 2
        if place(cells[0], chains[0], edges[0], move, colour, neighbours, own_edges):
            winner = colour
    to_move = RED if len(moves) % 2 else BLUE
    position = Positions(cells, chains, edges, np.array([to_move], np.int8))
    return Standing(n, moves, position, winner)
