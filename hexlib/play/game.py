"""A game as somebody tells it, move by move: with swap, resignation, taking back, and set-ups."""

import numpy as np

from hexlib.game.board import BLUE, EMPTY, RED, empty_boards, geometry, place
from hexlib.game.htp import COLOUR_NAME, RESIGN, SWAP_PIECES, SWAP_SIDES
from hexlib.game.notation import cell_index, cell_name
from hexlib.game.symmetry import reflection
from hexlib.search.interface import Positions


class Refused(ValueError):
    """A move that cannot be played, and why."""


class Game:
    """Stones of any colour in any order, since that is how a set-up is told.

    `moves` has (colour, word) pairs: a cell's name, or a word of `game.htp`. The swap rule is that
    the second player may take over the first stone: by `swap-pieces` it becomes his on the
    reflected cell (rows and columns exchanged), by `swap-sides` the players change colours.
    """

    def __init__(self, board_size: int):
        self.board_size = board_size
        self.moves: list[tuple[int, str]] = []
        self._replay()

    def _replay(self) -> None:
        """The position after the moves, from the start."""
        cells, chains, edges = empty_boards(1, self.board_size)
        self._cells, self._chains, self._edges = cells[0], chains[0], edges[0]
        self.winner = EMPTY
        for colour, word in self._stones():
            self._place(colour, word)
        if self.moves and self.moves[-1][1] == RESIGN:
            self.winner = BLUE + RED - self.moves[-1][0]

    def _stones(self) -> list[tuple[int, str]]:
        stones: list[tuple[int, str]] = []
        for colour, word in self.moves:
            if word == SWAP_PIECES:
                cell = reflection(self.board_size)[cell_index(stones[0][1], self.board_size)]
                stones = [(colour, cell_name(cell, self.board_size))]
            elif word not in (SWAP_SIDES, RESIGN):
                stones.append((colour, word))
        return stones

    def _place(self, colour: int, word: str) -> None:
        cell = cell_index(word, self.board_size)
        tables = geometry(self.board_size)
        joined = place(self._cells, self._chains, self._edges, cell, colour, *tables)
        if joined and self.winner == EMPTY:
            self.winner = colour

    @property
    def stones(self) -> np.ndarray:
        """EMPTY, BLUE or RED for each cell, int8 [A]."""
        return self._cells[:-1]

    @property
    def can_swap(self) -> bool:
        """True for the second player after one stone."""
        return len(self.moves) == 1 and self.moves[0][1] not in (SWAP_SIDES, RESIGN)

    def play(self, colour: int, word: str) -> None:
        """Add a move; `Refused` says why it is none."""
        word = word.lower()
        if self.moves and self.moves[-1][1] == RESIGN:
            raise Refused(f"{COLOUR_NAME[self.moves[-1][0]]} has resigned")
        if word in (SWAP_PIECES, SWAP_SIDES):
            if not self.can_swap or colour == self.moves[0][0]:
                raise Refused("only the second player can swap, as his first move")
        elif word != RESIGN:
            try:
                cell = cell_index(word, self.board_size)
            except ValueError as error:
                raise Refused(str(error)) from None
            if self._cells[cell] != EMPTY:
                raise Refused(f"{word} is occupied")
            word = cell_name(cell, self.board_size)
            self.moves.append((colour, word))
            self._place(colour, word)
            return
        self.moves.append((colour, word))
        self._replay()

    def undo(self) -> None:
        """Take the last move back; `Refused` if there is none."""
        if not self.moves:
            raise Refused("there is no move to take back")
        self.moves.pop()
        self._replay()

    def position(self, colour: int) -> Positions:
        """The position with `colour` to move, for a search, K = 1."""
        return Positions(
            self._cells[None].copy(),
            self._chains[None].copy(),
            self._edges[None].copy(),
            np.array([colour], np.int8),
        )
