"""The network's own policy, without a search."""

import numpy as np
from numba import njit

from hexlib.game.board import BLUE, EMPTY
from hexlib.kernel import kernel
from hexlib.search.interface import LEARN_PLAYED, Found, Positions
from hexlib.search.tactics import opponent


@kernel
def turn_board(cells, colour, n, board):
    """Fill `board` int8 [A] with a position as the network sees it (0, 1 own, 2 opponent).

    `cells` int8 [A + 1]. For red to move rows and columns change places, so that the player to move
    always connects top to bottom.
    """
    for row in range(n):
        for column in range(n):
            stone = cells[row * n + column]
            seen = row * n + column if colour == BLUE else column * n + row
            board[seen] = stone if colour == BLUE or stone == EMPTY else opponent(stone)


@njit(cache=True)
def turned(cells, colours, n, boards):
    """Fill `boards` int8 [K, A] with positions `cells` int8 [K, A + 1], as `turn_board`."""
    for k in range(len(colours)):
        turn_board(cells[k], colours[k], n, boards[k])


class PolicySearch:
    """Implements `interface.Search` with one evaluation a move and no tactics."""

    def __init__(self, slots: int, board_size: int):
        self.slots = slots
        self.target = LEARN_PLAYED
        self.board_size = board_size
        area = board_size**2
        self._cells = np.zeros((slots, area + 1), np.int8)
        self._colours = np.full(slots, BLUE, np.int8)
        self._policy = np.zeros((slots, area), np.float32)
        self._value = np.zeros(slots, np.float32)
        self._is_waiting = np.zeros(slots, bool)
        self._waiting = np.empty(0, np.int64)

    def start(
        self,
        slots: np.ndarray,
        positions: Positions,
        rows: np.ndarray,
        keys: np.ndarray,
        effort: np.ndarray,
    ) -> np.ndarray:
        """See `interface.Search`; nothing here is random, or could be more or less."""
        self._cells[slots] = positions.cells[rows]
        self._colours[slots] = positions.colours[rows]
        self._is_waiting[slots] = True
        return slots[:0]

    def waiting(self) -> np.ndarray:
        """See `interface.Search`."""
        self._waiting = np.flatnonzero(self._is_waiting)
        boards = np.empty((len(self._waiting), self.board_size**2), np.int8)
        turned(self._cells[self._waiting], self._colours[self._waiting], self.board_size, boards)
        return boards

    def advance(self, logits: np.ndarray, values: np.ndarray) -> np.ndarray:
        """See `interface.Search`."""
        n = self.board_size
        red = self._colours[self._waiting] != BLUE
        logits = logits.reshape(-1, n, n)
        logits = np.where(red[:, None, None], logits.transpose(0, 2, 1), logits)
        logits = logits.reshape(-1, n * n)
        logits = np.where(self._cells[self._waiting, :-1] == EMPTY, logits, -np.inf)
        weights = np.exp(logits - logits.max(1, keepdims=True))
        self._policy[self._waiting] = weights / weights.sum(1, keepdims=True)
        self._value[self._waiting] = values
        self._is_waiting[self._waiting] = False
        return self._waiting

    def found(self, slots: np.ndarray) -> Found:
        """See `interface.Search`."""
        policy = self._policy[slots]
        return Found(
            policy.argmax(1).astype(np.int16),
            self._value[slots],
            policy,
            np.ones(len(slots), np.int32),
        )
