"""Which games have been seen: a hash set of 16 bytes a game, at most half full."""

import numpy as np
from numba import njit

# Verdicts of `Seen.admit`.
KEPT, DUPLICATE, WRONG_WINNER, TWO_WINNERS, ILLEGAL = range(5)


@njit(cache=True)
def _slot_of(table, low, high):
    """Where a hash is, or belongs; (0, 0) marks a free slot (linear probing)."""
    mask = np.uint64(len(table) - 1)
    slot = low & mask
    while (table[slot, 0] != 0 or table[slot, 1] != 0) and (
        table[slot, 0] != low or table[slot, 1] != high
    ):
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True)
def _admit(table, hashes, legal, right, verdict):
    added = 0
    for g in range(len(hashes)):
        if not legal[g]:
            verdict[g] = ILLEGAL
            continue
        low, high = hashes[g]
        if low == 0 and high == 0:
            low = np.uint64(1)
        slot = _slot_of(table, low, high)
        known = table[slot, 0] != 0 or table[slot, 1] != 0
        if known:
            verdict[g] = DUPLICATE if right[g] else TWO_WINNERS
        elif not right[g]:
            verdict[g] = WRONG_WINNER
        else:
            verdict[g] = KEPT
            table[slot, 0], table[slot, 1] = low, high
            added += 1
    return added


@njit(cache=True)
def _move_over(old, new):
    for k in range(len(old)):
        if old[k, 0] != 0 or old[k, 1] != 0:
            slot = _slot_of(new, old[k, 0], old[k, 1])
            new[slot, 0], new[slot, 1] = old[k, 0], old[k, 1]


class Seen:
    """The games seen so far, by the hash of their moves."""

    def __init__(self, merge_symmetric: bool):
        self.merge_symmetric = merge_symmetric  # how the hashes given to `admit` are made
        self._table = np.zeros((1 << 16, 2), np.uint64)
        self._used = 0

    def admit(self, hashes: np.ndarray, legal: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The verdict on games, uint8 [G], in their order; those that are KEPT are seen from now.

        `hashes` uint64 [G, 2] as of `records.game_hashes`; `legal` bool [G], whether the game is
        legal and ends at its last move; `right` bool [G], whether its record names the winner. A
        wrong winner is TWO_WINNERS where the same moves are known with the other one.
        """
        size = len(self._table)
        while 2 * (self._used + len(hashes)) > size:
            size *= 2
        if size > len(self._table):
            table = np.zeros((size, 2), np.uint64)
            _move_over(self._table, table)
            self._table = table
        verdict = np.empty(len(hashes), np.uint8)
        self._used += _admit(self._table, hashes, legal, right, verdict)
        return verdict
