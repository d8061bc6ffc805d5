"""How games begin: with stones at random, or with a first move that is near to even."""

from collections.abc import Iterator

import numpy as np
from numba import njit

from hexlib import rng
from hexlib.game.board import BLUE, EMPTY, RED, empty_boards, geometry, place
from hexlib.search.interface import Evaluate, positions_after
from hexlib.search.policy import turned
from hexlib.settings import Selfplay

LOT = 1024  # openings drawn together, so that the network is asked about many at once
NONE = -1  # in place of a stone, where an opening has fewer
# Counters of an opening's key.
_RANDOM, _COUNT, _BALANCED, _FIRST, _KEPT, _STONES = 1000, 1001, 1002, 1003, 1005, 2000
_ANEW = 10_000  # of a game's key: beyond these are the keys of its second opening and later ones


def first_move_odds(values: np.ndarray) -> np.ndarray:
    """Cumulative chances of each first move, float64 [A], from its value for blue, −1 to 1.

    Most first moves win. The nearer a value is to even, the likelier the move, so that games have
    winners of both colours; but none is ruled out, since the values may be wrong.
    """
    weights = 1.05 - np.abs(values.astype(np.float64))
    return np.cumsum(weights / weights.sum())


def openings(
    keys: np.ndarray, settings: Selfplay, evaluator: Evaluate, board_size: int
) -> Iterator[np.ndarray]:
    """The first stones of the games with `keys` uint64 [K], one game after the other.

    Each is int16 [S], blue's first, NONE after the last. A share of the games gets some stones
    anywhere; of the others a share has its first move drawn by `first_move_odds`. Where the network
    gives a random opening the value v, it is dropped with a chance of v² · `balanced_openings` and
    drawn anew: most random positions are as good as decided, and teach little.
    """
    area = board_size**2
    most = settings.most_stones(board_size)
    firsts = positions_after(board_size, [[cell] for cell in range(area)])
    boards = np.empty((area, area), np.int8)
    turned(firsts.cells, firsts.colours, board_size, boards)
    odds = first_move_odds(-evaluator(boards)[1])
    for start in range(0, len(keys), LOT):
        yield from _lot(keys[start : start + LOT], most, odds, settings, evaluator, board_size)


def _lot(
    keys: np.ndarray,
    most: int,
    odds: np.ndarray,
    settings: Selfplay,
    evaluator: Evaluate,
    board_size: int,
) -> np.ndarray:
    """The openings of up to LOT games, int16 [K, S]."""
    habits = (settings.random_openings, settings.random_stones_power, settings.balanced_first_move)
    found = np.empty((len(keys), max(1, most)), np.int16)
    left, tried = np.arange(len(keys)), 0
    while len(left):
        # The fewer are left, the more goes each has at once: the network's batches stay full.
        goes = max(1, LOT // len(left)) if settings.balanced_openings else 1
        lots = np.repeat(keys[left], goes), np.tile(np.arange(tried, tried + goes), len(left))
        stones = np.full((len(left) * goes, found.shape[1]), NONE, np.int16)
        cells, chains, edges = empty_boards(len(stones), board_size)
        position = (cells, chains, edges, *geometry(board_size))
        chance, judged = _draw(*lots, most, habits, odds, stones, *position)
        boards = np.empty((len(stones), board_size**2), np.int8)
        turned(cells, (BLUE + (stones != NONE).sum(1) % 2).astype(np.int8), board_size, boards)
        dropped = np.zeros(len(stones), bool)
        if settings.balanced_openings and judged.any():
            values = evaluator(boards[judged])[1].astype(np.float64)
            dropped[judged] = chance[judged] < settings.balanced_openings * values**2
        kept = ~dropped.reshape(len(left), goes)
        lucky = kept.any(1)
        first = np.flatnonzero(lucky) * goes + kept.argmax(1)[lucky]
        found[left[lucky]] = stones[first]
        left, tried = left[~lucky], tried + goes
    return found


@njit(cache=True)
def _draw(keys, goes, most, habits, odds, stones, cells, chains, edges, neighbours, own_edges):
    """Draw go number `goes` int64 [R] of the openings of games with `keys` uint64 [R].

    Fills `stones` int16 [R, S] and the empty boards. Returns float64 [R] and bool [R]: numbers from
    0 to 1 to decide by, and which openings are random, and may be dropped.
    """
    random_openings, power, balanced_first_move = habits
    area = len(odds)
    chance, judged = np.empty(len(keys)), np.zeros(len(keys), np.bool_)
    for k in range(len(keys)):
        key = rng.subkey(keys[k], _ANEW + goes[k]) if goes[k] else keys[k]
        chance[k] = rng.uniform(key, _KEPT)
        if rng.uniform(key, _RANDOM) < random_openings and most > 0:
            judged[k] = True
            draws = 0
            for ply in range(1 + np.int64(rng.uniform(key, _COUNT) ** power * most)):
                move = -1
                while move == -1 or cells[k, move] != EMPTY:
                    move = rng.below(key, _STONES + draws, area)
                    draws += 1
                stones[k, ply] = move
                colour = RED if ply % 2 else BLUE
                if place(cells[k], chains[k], edges[k], move, colour, neighbours, own_edges):
                    stones[k] = NONE  # over so early, on a tiny board: begin without stones
                    judged[k] = False
                    break
        elif rng.uniform(key, _BALANCED) < balanced_first_move:
            stones[k, 0] = min(np.searchsorted(odds, rng.uniform(key, _FIRST)), area - 1)
    return chance, judged
