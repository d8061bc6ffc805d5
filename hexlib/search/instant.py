"""Searches that are over when they start: they ask no network. Fixed opponents play by them."""

from abc import ABC, abstractmethod

import numpy as np

from hexlib.search.interface import LEARN_PLAYED, Found, Positions


class InstantSearch(ABC):
    """Implements `interface.Search` for all that `choose` moves by itself."""

    def __init__(self, slots: int, board_size: int):
        self.slots = slots
        self.target = LEARN_PLAYED
        self.board_size = board_size
        self._move = np.zeros(slots, np.int16)

    @abstractmethod
    def choose(self, positions: Positions, keys: np.ndarray, moves: np.ndarray) -> None:
        """Fill `moves` int16 [K] for positions [K], as `keys` uint64 [K] decide what is random."""

    def start(
        self,
        slots: np.ndarray,
        positions: Positions,
        rows: np.ndarray,
        keys: np.ndarray,
        effort: np.ndarray,
    ) -> np.ndarray:
        """See `interface.Search`: all are done."""
        moves = np.zeros(len(slots), np.int16)
        self.choose(Positions(*(field[rows] for field in positions)), keys[rows], moves)
        self._move[slots] = moves
        return slots

    def waiting(self) -> np.ndarray:
        """See `interface.Search`: none waits."""
        return np.empty((0, self.board_size**2), np.int8)

    def advance(self, logits: np.ndarray, values: np.ndarray) -> np.ndarray:
        """See `interface.Search`: nothing was asked."""
        return np.empty(0, np.int64)

    def found(self, slots: np.ndarray) -> Found:
        """See `interface.Search`; there is no value."""
        policy = np.zeros((len(slots), self.board_size**2), np.float32)
        values = np.full(len(slots), np.nan, np.float32)
        return Found(self._move[slots], values, policy, np.zeros(len(slots), np.int32))
