"""Evaluations remembered, so that a position that comes back costs no network call.

Searches of successive moves of a game share most of their tree, and games share their openings. A
board and its 180° turn are the same position for the player to move (and the colours are already
exchanged by turning the board for him), so one of the two stands for both: the one that comes first
in the order of cells is what the network sees. That is so with a cache of any size, even 0, so that
the size changes no answer.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hexlib import rng
from hexlib.kernel import SameTypes, copy_into, kernel
from hexlib.nn.backends import Answer
from hexlib.nn.inference import Evaluator


@kernel
def _comes_after(board):
    """Whether a board int8 [A] comes after its own 180° turn in the order of their cells."""
    last = len(board) - 1
    for cell in range(len(board) // 2):
        if board[cell] != board[last - cell]:
            return board[cell] > board[last - cell]
    return False


@kernel
def _hash(board, zobrist):
    """128-bit hash of a board int8 [A], two uint64 (Zobrist 1970)."""
    one, other = np.uint64(0), np.uint64(0)
    for cell in range(len(board)):
        stone = board[cell]
        if stone:
            one ^= zobrist[stone - 1, cell, 0]
            other ^= zobrist[stone - 1, cell, 1]
    return one, other


@kernel
def _turn_into(into, source, turned):
    """Copy what belongs to the cells of a board, [A], to those of its 180° turn if asked to."""
    if turned:
        last = len(source) - 1
        for cell in range(len(source)):
            into[cell] = source[last - cell]
    else:
        copy_into(into, source)


class Batch(NamedTuple):
    """Up to R boards of A cells that are asked for together."""

    keys: np.ndarray  # uint64 [R, 2]
    turned: np.ndarray  # bool [R], whether the 180° turn stands for the board
    logits: np.ndarray  # float32 [R, A], the answer
    values: np.ndarray  # float32 [R], the answer
    misses: np.ndarray  # int64 [R], numbers of the boards that are not known
    unknown: np.ndarray  # int8 [R, A], those boards, or what stands for them


@kernel
def _look_up(boards, zobrist, table_keys, table_logits, table_values, batch):
    """Answer what is known; gathers the rest into `misses` and `unknown`, returns how many."""
    keys, turned, logits, values, misses, unknown = batch
    missing = 0
    size = len(table_values)
    for k in range(len(boards)):
        turned[k] = _comes_after(boards[k])
        asked = unknown[missing]
        _turn_into(asked, boards[k], turned[k])
        if size:
            keys[k, 0], keys[k, 1] = _hash(asked, zobrist)
            slot = np.int64(keys[k, 0] % np.uint64(size))
            if table_keys[slot, 0] == keys[k, 0] and table_keys[slot, 1] == keys[k, 1]:
                values[k] = table_values[slot]
                _turn_into(logits[k], table_logits[slot], turned[k])
                continue
        misses[missing] = k
        missing += 1
    return missing


@kernel
def _remember(new_logits, new_values, table_keys, table_logits, table_values, batch):
    """Put the network's answers into the table, in place of what lay there, and hand them on."""
    keys, turned, logits, values, misses, _ = batch
    size = len(table_values)
    for row in range(len(new_values)):
        k = misses[row]
        values[k] = new_values[row]
        _turn_into(logits[k], new_logits[row], turned[k])
        if size:
            slot = np.int64(keys[k, 0] % np.uint64(size))
            table_keys[slot, 0], table_keys[slot, 1] = keys[k, 0], keys[k, 1]
            copy_into(table_logits[slot], new_logits[row])
            table_values[slot] = new_values[row]


class CachedEvaluator:
    """An `Evaluator` with a table of `size` positions in front of it; it is called the same way."""

    def __init__(self, evaluator: Evaluator, size: int):
        self.evaluator = evaluator
        self.board_size = evaluator.board_size
        self.asked = 0  # boards so far, of which evaluator.evaluated were not known
        area = evaluator.board_size**2
        seeds = np.arange(4 * area, dtype=np.uint64)
        self._zobrist = np.array([rng.mix(seed) for seed in seeds], np.uint64).reshape(2, area, 2)
        # The key 0 of an empty slot is that of the empty board, which must not seem known.
        keys = np.full((size, 2), np.uint64(1))
        self._look_up, self._remember = SameTypes(_look_up), SameTypes(_remember)
        self._table = (keys, np.zeros((size, area), np.float32), np.zeros(size, np.float32))

    @property
    def hit_rate(self) -> float:
        """Share of the boards so far that were known."""
        return 1 - self.evaluator.evaluated / max(1, self.asked)

    @property
    def at_once(self) -> int:
        """As the `Evaluator`'s."""
        return self.evaluator.at_once

    def ask(self, boards: np.ndarray) -> Callable[[], Answer]:
        """As the `Evaluator`'s."""
        count, area = boards.shape
        batch = Batch(
            np.empty((count, 2), np.uint64),
            np.empty(count, np.bool_),
            np.empty((count, area), np.float32),
            np.empty(count, np.float32),
            np.empty(count, np.int64),
            np.empty((count, area), np.int8),
        )
        missing = self._look_up(boards, self._zobrist, *self._table, batch)
        new = self.evaluator.ask(batch.unknown[:missing])
        self.asked += count

        def answer() -> Answer:
            self._remember(*new(), *self._table, batch)
            return batch.logits, batch.values

        return answer

    def __call__(self, boards: np.ndarray) -> Answer:
        """As `Evaluator`: boards int8 [R, A] → logits float32 [R, A], values float32 [R]."""
        return self.ask(boards)()
