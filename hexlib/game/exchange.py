"""A game as programs hand it to each other: one at a time, with swaps, and given up or not."""

from typing import NamedTuple

import numpy as np

from hexlib.game import board, records
from hexlib.game.board import BLUE, EMPTY, RED
from hexlib.game.notation import COLOUR_NAME
from hexlib.game.symmetry import reflection


class Game(NamedTuple):
    """One game, a swap in it resolved as `trmph` does: blue has made the first move."""

    board_size: int
    moves: list[int]  # cells
    winner: int  # BLUE or RED; EMPTY where the record names none
    swapped: bool = False  # whether the second player took over the first move


class Line:
    """Builds a game from what its players did, each of whom is named by the sides they connect.

    BLUE connects top and bottom and begins.
    """

    def __init__(self, board_size: int):
        if not board.MIN_SIZE <= board_size <= board.MAX_SIZE:
            raise ValueError(
                f"a board of size {board_size}: {board.MIN_SIZE} to {board.MAX_SIZE} are possible"
            )
        self.board_size = board_size
        self.to_move = BLUE
        self.winner = EMPTY
        self.cells: list[int] = []
        self._swapped = self._pieces = False

    def play(self, cell: int) -> None:
        """The player to move puts a stone on a cell."""
        self._go_on()
        if len(self.cells) == self.board_size**2:
            raise ValueError("more moves than cells")
        self.cells.append(cell)
        self.to_move = BLUE + RED - self.to_move

    def swap(self, pieces: bool) -> None:
        """The second player takes over the first move.

        Either the stone changes: its colour, and its cell to the reflected one, so that blue is to
        move (`pieces`); or the players change sides, and red, who is the first player now, is.
        """
        self._go_on()
        if len(self.cells) != 1 or self._swapped:
            raise ValueError("a swap that is not the second move")
        self._swapped, self._pieces = True, pieces
        if pieces:
            self.to_move = BLUE

    def give_up(self, loser: int) -> None:
        """A player resigns or forfeits."""
        self._go_on()
        self.winner = BLUE + RED - loser

    def _go_on(self) -> None:
        if self.winner != EMPTY:
            raise ValueError("a move after the game was given up")

    def game(self) -> Game:
        """The game so far; `ValueError` if it has no moves."""
        if not self.cells:
            raise ValueError("no moves")
        game = Game(self.board_size, self.cells, self.winner, self._swapped)
        return swap_pieces(game) if self._pieces else game


def mirrored(game: Game) -> Game:
    """The game through the reflection with the colours exchanged."""
    winner = {BLUE: RED, RED: BLUE, EMPTY: EMPTY}[game.winner]
    moves = reflection(game.board_size)[game.moves].tolist()
    return game._replace(moves=moves, winner=winner)


def swap_pieces(game: Game) -> Game:
    """From a game with a swap of pieces as its players saw it to the resolved one, and back.

    Through the reflection the stone that changed its colour and place is back on its first cell,
    and the others have moved. A game without a swap stays as it is.
    """
    if not game.swapped:
        return game
    return mirrored(game)._replace(moves=[game.moves[0], *mirrored(game).moves[1:]])


def judge(game: Game) -> tuple[Game, bool]:
    """The game with its winner, and whether that is by connection; else the other side gave up.

    Raises `ValueError` that says what is wrong: a move on a stone or after the end, a winner who
    did not win, or a game that is not finished and names no winner.
    """
    moves, ends = np.array(game.moves, np.int16), np.array([0, len(game.moves)], np.int64)
    winners = np.array([game.winner], np.int8)
    status, ply, winner = records.replay(records.Games(game.board_size, moves, ends, winners))
    move = ply[0] + 1 + game.swapped
    if status[0] == board.OCCUPIED:
        raise ValueError(f"move {move} on an occupied cell")
    if status[0] == board.AFTER_END:
        raise ValueError(f"move {move} after the end of the game")
    if status[0] == board.UNFINISHED:
        if game.winner == EMPTY:
            raise ValueError("the game is not finished, and nobody gave up")
        return game, False
    if game.winner not in (EMPTY, winner[0]):
        raise ValueError(f"wrong winner ({COLOUR_NAME[int(winner[0])]} won)")
    return game._replace(winner=int(winner[0])), True
