"""The games in flight: how moves are drawn, and what is recorded."""

from typing import NamedTuple

import numpy as np
from numba import njit

from hexlib import rng
from hexlib.game.board import BLUE, EMPTY, RED, empty_boards, place
from hexlib.game.journal import PlayedGame
from hexlib.search.interface import (
    CHEAP,
    FULL,
    LEARN_BEST,
    LEARN_PLAYED,
    LEARN_POLICY,
    THOROUGH,
)
from hexlib.settings import Selfplay
from hexlib.stages.selfplay.openings import NONE

LEAST_PROBABILITY = 1e-3  # policy entries below it are not saved
MOST_ENTRIES = 255  # of a policy that are saved, the likeliest: a byte holds their count
_NEVER_RESIGN = 1004  # counter of a game's key, past those that draw its opening
_DRAW, _FULL = 1010, 1011  # counters of a move's key, past those that a search uses for its noise


class Table(NamedTuple):
    """G games in flight on boards of A cells, each at most A moves long."""

    cells: np.ndarray  # int8 [G, A + 1]
    chains: np.ndarray  # uint16 [G, A + 1]
    edges: np.ndarray  # uint8 [G, A + 1]
    colour: np.ndarray  # int8 [G], to move
    key: np.ndarray  # uint64 [G]
    plies: np.ndarray  # int32 [G], moves made
    moves: np.ndarray  # int16 [G, A]
    value: np.ndarray  # float32 [G, A], of the search before each move
    policy: np.ndarray  # float32 [G, A, A], of the search before each move; 0 where there is none
    move_key: np.ndarray  # uint64 [G], of the next move
    effort: np.ndarray  # int8 [G], of the next move's search; what a CHEAP one finds is not learned
    loser: np.ndarray  # int8 [G], the first colour that would resign, or 0
    resigned: np.ndarray  # bool [G], whether it did


class Habits(NamedTuple):
    """The settings of self-play that decide how a game's moves are drawn."""

    full_search: float
    early_stones: int
    temperature: float
    half_life: float
    cutoff: float
    resign_value: float
    never_resign: float


def habits_of(settings: Selfplay) -> Habits:
    """The habits that the settings describe."""
    return Habits(
        settings.full_search,
        settings.early_stones if settings.early_simulations else 0,
        settings.temperature,
        settings.temperature_half_life,
        settings.temperature_cutoff,
        settings.resign_value,
        settings.never_resign,
    )


def new_table(slots: int, board_size: int) -> Table:
    """A table of empty boards."""
    area = board_size**2
    return Table(
        *empty_boards(slots, board_size),
        colour=np.full(slots, BLUE, np.int8),
        key=np.zeros(slots, np.uint64),
        plies=np.zeros(slots, np.int32),
        moves=np.zeros((slots, area), np.int16),
        value=np.zeros((slots, area), np.float32),
        policy=np.zeros((slots, area, area), np.float32),
        move_key=np.zeros(slots, np.uint64),
        effort=np.zeros(slots, np.int8),
        loser=np.zeros(slots, np.int8),
        resigned=np.zeros(slots, np.bool_),
    )


@njit(cache=True)
def _clear(table, g):
    """Make the board of game g empty."""
    area = table.moves.shape[1]
    table.cells[g, :area] = EMPTY
    for cell in range(area):
        table.chains[g, cell] = cell
    table.edges[g] = 0
    table.plies[g], table.colour[g] = 0, BLUE


@njit(cache=True)
def _make_move(table, g, move, neighbours, own_edges):
    """Play a move in game g; True if it wins."""
    colour = table.colour[g]
    table.moves[g, table.plies[g]] = move
    table.plies[g] += 1
    table.colour[g] = BLUE + RED - colour
    position = (table.cells[g], table.chains[g], table.edges[g])
    return place(*position, move, colour, neighbours, own_edges)


@njit(cache=True)
def _next_move(table, g, habits):
    """Set the key of the next move, and its effort: thorough early in a game, else by lot.

    (Playout cap randomisation, Wu 2019, arXiv:1902.10565, section 3.1.)
    """
    table.move_key[g] = rng.subkey(table.key[g], table.plies[g])
    if table.resigned[g]:
        table.effort[g] = CHEAP
    elif table.plies[g] < habits.early_stones:
        table.effort[g] = THOROUGH
    else:
        full = rng.uniform(table.move_key[g], _FULL) < habits.full_search
        table.effort[g] = FULL if full else CHEAP


@njit(cache=True)
def open_games(table, slots, keys, stones, habits, neighbours, own_edges):
    """Begin games in `slots` int64 [K] with `keys` uint64 [K].

    They begin with `stones` int16 [K, S], NONE after the last, of which there is nothing to learn.
    """
    for k in range(len(slots)):
        g = slots[k]
        _clear(table, g)
        table.key[g], table.loser[g], table.resigned[g] = keys[k], 0, False
        table.policy[g] = 0
        table.value[g] = np.nan
        for stone in stones[k]:
            if stone != NONE:
                _make_move(table, g, stone, neighbours, own_edges)
        _next_move(table, g, habits)


@njit(cache=True)
def make_moves(table, slots, best, value, policy, target, habits, neighbours, own_edges):
    """Record what the search found in `slots` int64 [K], then choose and play a move in each.

    `best` int16 [K], `value` float32 [K], `policy` float32 [K, A] are from the search; `target` is
    its `interface.Search.target`. The move is drawn from policy^(1/T), where T is the temperature,
    halved every half-life; it is `best` once T is below the cutoff. A player whose value is below
    −`resign_value` resigns: the game is played on to its end, so that the record is whole, but
    cheaply and without anything to learn. Returns bool [K]: which games have ended.
    """
    area = table.moves.shape[1]
    over = np.zeros(len(slots), np.bool_)
    weights = np.empty(area)
    for k in range(len(slots)):
        g = slots[k]
        ply = table.plies[g]
        if table.effort[g] != CHEAP:
            table.value[g, ply] = value[k]
        if habits.resign_value > 0 and value[k] < -habits.resign_value and table.loser[g] == 0:
            table.loser[g] = table.colour[g]
            table.resigned[g] = rng.uniform(table.key[g], _NEVER_RESIGN) >= habits.never_resign
        move = int(best[k])
        warmth = habits.temperature * 0.5 ** (ply / habits.half_life)
        total = 0.0
        if warmth >= habits.cutoff and not table.resigned[g]:
            for a in range(area):
                weights[a] = policy[k, a] ** (1 / warmth) if policy[k, a] > 0 else 0.0
                total += weights[a]
        if total > 0:
            left = rng.uniform(table.move_key[g], _DRAW) * total
            for a in range(area):
                if weights[a] > 0:
                    move = a
                    left -= weights[a]
                    if left < 0:
                        break
        if table.effort[g] != CHEAP:
            if target == LEARN_POLICY:
                table.policy[g, ply] = policy[k]
            elif target == LEARN_BEST:
                table.policy[g, ply, best[k]] = 1
            elif target == LEARN_PLAYED:
                table.policy[g, ply, move] = 1
        over[k] = _make_move(table, g, move, neighbours, own_edges)
        if not over[k]:
            _next_move(table, g, habits)
    return over


def played(table: Table, g: int, game: int) -> PlayedGame:
    """Copy a finished game out of the table, its policies made sparse."""
    plies = int(table.plies[g])
    policy = table.policy[g, :plies]
    kept = policy >= LEAST_PROBABILITY
    if (excess := policy.shape[1] - MOST_ENTRIES) > 0:
        unlikeliest = np.argsort(policy, axis=1, kind="stable")[:, :excess]
        np.put_along_axis(kept, unlikeliest, False, axis=1)
    ply, cell = np.nonzero(kept)
    return PlayedGame(
        game=game,
        winner=winner_of(table, g),
        moves=table.moves[g, :plies].copy(),
        root_value=table.value[g, :plies].astype(np.float16),
        policy_count=np.bincount(ply, minlength=plies).astype(np.uint8),
        policy_cell=cell.astype(np.uint16),
        policy_probability=policy[ply, cell].astype(np.float16),
    )


def winner_of(table: Table, g: int) -> int:
    """The winner of a finished game: who moved last."""
    return BLUE + RED - int(table.colour[g])
