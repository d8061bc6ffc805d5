"""Self-play: games by the network against itself, saved as they finish."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hexlib import files, logs, rng, signals
from hexlib.errors import BadInput
from hexlib.game.board import BLUE, EMPTY, empty_boards, geometry, place
from hexlib.game.journal import Journal, PlayedGame
from hexlib.game.records import Games, SearchStatistics, write_games, write_search
from hexlib.nn.cache import CachedEvaluator
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.search.gumbel import GumbelSearch
from hexlib.search.interface import (
    LEARN_BEST,
    LEARN_PLAYED,
    LEARN_POLICY,
    Positions,
    Search,
)
from hexlib.search.minimax import MinimaxSearch
from hexlib.search.policy import PolicySearch
from hexlib.settings import Inference, Selfplay

LEAST_PROBABILITY = 1e-3  # policy entries below it are not saved
COLDEST = 0.1  # below this temperature the search's best move is played
# Counters of a key, past those that a search uses for the Gumbel noise of each cell.
_OPENING, _CHOICE, _STONES = 1000, 1010, 2000


class Table(NamedTuple):
    """G games in flight on boards of A cells, each at most A moves long."""

    cells: np.ndarray  # int8 [G, A + 1]
    chains: np.ndarray  # int16 [G, A + 1]
    edges: np.ndarray  # uint8 [G, A + 1]
    key: np.ndarray  # uint64 [G]
    plies: np.ndarray  # int32 [G], moves made
    moves: np.ndarray  # int16 [G, A]
    value: np.ndarray  # float32 [G, A], of the search before each move
    policy: np.ndarray  # float32 [G, A, A], of the search before each move; 0 where there is none


def new_table(slots: int, board_size: int) -> Table:
    """A table of empty boards."""
    area = board_size**2
    return Table(
        *empty_boards(slots, board_size),
        key=np.zeros(slots, np.uint64),
        plies=np.zeros(slots, np.int32),
        moves=np.zeros((slots, area), np.int16),
        value=np.zeros((slots, area), np.float32),
        policy=np.zeros((slots, area, area), np.float32),
    )


@njit(cache=True)
def _make_move(table, g, move, neighbours, own_edges):
    """Play a move in game g; True if it wins."""
    ply = table.plies[g]
    table.moves[g, ply] = move
    table.plies[g] += 1
    return place(
        table.cells[g],
        table.chains[g],
        table.edges[g],
        move,
        BLUE + ply % 2,
        neighbours,
        own_edges,
    )


@njit(cache=True)
def open_games(
    table, slots, keys, random_openings, random_stones, uniform_first, neighbours, own_edges
):
    """Begin games in `slots` int64 [K] with `keys` uint64 [K]: some with random stones.

    A share `random_openings` of them gets 1 to `random_stones` stones anywhere; a share
    `uniform_first` of the rest has its first move anywhere; neither has a policy to learn.
    """
    area = table.moves.shape[1]
    for k in range(len(slots)):
        g, key = slots[k], keys[k]
        table.cells[g, :area] = EMPTY
        for cell in range(area):
            table.chains[g, cell] = cell
        table.edges[g] = 0
        table.key[g], table.plies[g] = key, 0
        table.policy[g] = 0
        table.value[g] = np.nan
        stones = 0
        if rng.uniform(key, _OPENING) < random_openings and random_stones > 0:
            stones = 1 + rng.below(key, _OPENING + 1, random_stones)
        elif rng.uniform(key, _OPENING + 2) < uniform_first:
            stones = 1
        draws = 0
        for _ in range(stones):
            move = -1
            while move == -1 or table.cells[g, move] != EMPTY:
                move = rng.below(key, _STONES + draws, area)
                draws += 1
            if _make_move(table, g, move, neighbours, own_edges):
                # A random game that is over so early (tiny boards) is begun as an empty one.
                table.cells[g, :area] = EMPTY
                for cell in range(area):
                    table.chains[g, cell] = cell
                table.edges[g] = 0
                table.plies[g] = 0
                break


@njit(cache=True)
def make_moves(
    table, slots, best, value, policy, target, temperature, half_life, neighbours, own_edges
):
    """Record what the search found in `slots` int64 [K], then choose and play a move in each.

    `best` int16 [K], `value` float32 [K], `policy` float32 [K, A] are from the search; `target` is
    its `interface.Search.target`. The move is drawn from policy^(1/T), where
    T = `temperature` · ½^(ply / `half_life`), and is `best` once T is below COLDEST. Returns
    bool [K]: which games have ended.
    """
    area = table.moves.shape[1]
    over = np.zeros(len(slots), np.bool_)
    weights = np.empty(area)
    for k in range(len(slots)):
        g = slots[k]
        ply = table.plies[g]
        table.value[g, ply] = value[k]
        if target == LEARN_POLICY:
            table.policy[g, ply] = policy[k]
        move = int(best[k])
        warmth = temperature * 0.5 ** (ply / half_life)
        total = 0.0
        if warmth >= COLDEST:
            for a in range(area):
                weights[a] = policy[k, a] ** (1 / warmth) if policy[k, a] > 0 else 0.0
                total += weights[a]
        if total > 0:
            left = rng.uniform(rng.subkey(table.key[g], ply), _CHOICE) * total
            for a in range(area):
                if weights[a] > 0:
                    move = a
                    left -= weights[a]
                    if left < 0:
                        break
        if target == LEARN_BEST:
            table.policy[g, ply, best[k]] = 1
        elif target == LEARN_PLAYED:
            table.policy[g, ply, move] = 1
        over[k] = _make_move(table, g, move, neighbours, own_edges)
    return over


@njit(cache=True)
def _ply_keys(table, slots):
    keys = np.empty(len(slots), np.uint64)
    for k in range(len(slots)):
        keys[k] = rng.subkey(table.key[slots[k]], table.plies[slots[k]])
    return keys


def _played(table: Table, g: int, game: int) -> PlayedGame:
    """Copy a finished game out of the table, its policies made sparse."""
    plies = int(table.plies[g])
    policy = table.policy[g, :plies]
    kept = policy >= LEAST_PROBABILITY
    ply, cell = np.nonzero(kept)
    return PlayedGame(
        game=game,
        winner=BLUE + (plies - 1) % 2,
        moves=table.moves[g, :plies].copy(),
        root_value=table.value[g, :plies].astype(np.float16),
        policy_count=np.bincount(ply, minlength=plies).astype(np.uint8),
        policy_cell=cell.astype(np.uint16),
        policy_probability=policy[ply, cell].astype(np.float16),
    )


def _pace(evaluator: CachedEvaluator) -> str:
    return f"{evaluator.asked:,} positions asked for, {evaluator.hit_rate:.0%} of them in the cache"


def new_search(settings: Selfplay, slots: int, board_size: int) -> Search:
    """The search that the settings name."""
    if settings.search == "gumbel":
        return GumbelSearch(slots, board_size, settings.simulations, settings.considered)
    if settings.search == "minimax":
        return MinimaxSearch(slots, board_size, settings.widths)
    return PolicySearch(slots, board_size)


def play(
    search: Search,
    evaluator: CachedEvaluator,
    settings: Selfplay,
    keys: dict[int, np.uint64],
    journal: Journal,
    progress: logs.Progress,
) -> None:
    """Play the games whose numbers and keys are given, and add each to the journal as it ends."""
    board_size = evaluator.board_size
    tables = geometry(board_size)
    table = new_table(search.slots, board_size)
    stones = min(settings.random_stones, board_size**2 // 2)  # the default is for larger boards
    game_in = np.full(search.slots, -1, np.int64)
    queue = list(keys)[::-1]

    def begin(slots: np.ndarray) -> np.ndarray:
        slots = slots[: len(queue)]
        games = [queue.pop() for _ in slots]
        game_in[slots] = games
        opening = (settings.random_openings, stones, settings.uniform_first_move)
        slot_keys = np.array([keys[game] for game in games], np.uint64)
        open_games(table, slots, slot_keys, *opening, *tables)
        return slots

    def think(slots: np.ndarray) -> np.ndarray:
        colours = (BLUE + table.plies[slots] % 2).astype(np.int8)
        position = Positions(table.cells[slots], table.chains[slots], table.edges[slots], colours)
        search.start(slots, position, _ply_keys(table, slots))
        return slots

    ready = think(begin(np.arange(search.slots)))
    while True:
        while len(ready):
            done = search.advance(ready)
            found = search.found(done)
            over = make_moves(
                table,
                done,
                found.move,
                found.value,
                found.policy,
                search.target,
                settings.temperature,
                settings.temperature_half_life,
                *tables,
            )
            for g in done[over]:
                journal.add(_played(table, g, int(game_in[g])))
            ready = think(np.concatenate([done[~over], begin(done[over])]))
        done_games = len(journal.games)
        progress.update(done_games, _pace(evaluator))
        signals.stop_if_asked(
            f"{progress.name}: stopped, {done_games:,} of {progress.total:,} games are saved;"
            " run the same command to go on"
        )
        boards = search.waiting()
        if not len(boards):
            return
        ready = search.absorb(*evaluator(boards))


def _product(games: list[PlayedGame], board_size: int) -> tuple[Games, SearchStatistics]:
    """Games in the order of their numbers, which is what makes the bytes the same each time."""
    games = sorted(games, key=lambda game: game.game)
    lengths = [len(game.moves) for game in games]

    def joined(name: str, dtype: type) -> np.ndarray:
        return np.concatenate([np.empty(0, dtype), *(getattr(game, name) for game in games)])

    return (
        Games(
            board_size,
            joined("moves", np.int16),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.array([game.winner for game in games], np.int8),
        ),
        SearchStatistics(
            joined("root_value", np.float16),
            joined("policy_count", np.uint8),
            joined("policy_cell", np.uint16),
            joined("policy_probability", np.float16),
        ),
    )


def run(
    checkpoint: Path,
    output: Path,
    settings: Selfplay,
    inference: Inference,
    *,
    board_size: int,
    games: int,
    first_game: int,
    generation: int,
    seed: int,
    progress_dir: Path,
    finish_partial: bool = False,
) -> None:
    """Play games `first_game` to `first_game + games − 1` of a generation into a shard.

    Writes `output` (.trmph) and its `.search.npz`. Finished games are kept in `progress_dir` and
    are not played again by a later run; with `finish_partial` (or `settings.accept_partial`, if
    there are any) they become the shard as they are. Raises BadInput for a checkpoint that is not
    one, Interrupted after a signal.
    """
    identity: dict[str, Any] = {
        "kind": "games",
        "stage": "selfplay",
        "schema": files.SCHEMA,
        "board_size": board_size,
        "generation": generation,
        "seed": seed,
        "checkpoint": files.sha256(checkpoint) if checkpoint.is_file() else "missing",
        "settings": settings.model_dump(
            include={
                "search",
                *{
                    "gumbel": {"simulations", "considered"},
                    "minimax": {"widths"},
                    "policy": set(),
                }[settings.search],
                "temperature",
                "temperature_half_life",
                "random_stones",
                "random_openings",
                "uniform_first_move",
            }
        ),
    }
    network = load_checkpoint(checkpoint).network
    device = choose(inference)
    identity["device"] = f"{device.device.type} {device.precision}"
    logs.detail("settings: %s", identity)
    logs.detail("network evaluated on %s", device)
    name = f"selfplay {output.stem}, generation {generation}"
    journal_path = progress_dir / f"{output.stem}.games"
    journal = Journal(journal_path, identity)
    if journal.foreign:
        logs.log.info(f"{name}: games saved under other settings or another checkpoint are dropped")
    saved = {game.game for game in journal.games}
    if saved:
        logs.log.info(f"{name}: goes on after {len(saved):,} saved games")
    wanted = range(first_game, first_game + games)
    if finish_partial and not saved:
        raise BadInput(f"{journal_path}: no finished games to take; run without --finish-partial")
    if not finish_partial and not (settings.accept_partial and saved):
        keys = {game: rng.game_key(seed, generation, game) for game in wanted if game not in saved}
        if keys:
            evaluator = CachedEvaluator(Evaluator(network, board_size, device), settings.cache_size)
            search = new_search(settings, min(settings.batch_size, len(keys)), board_size)
            progress = logs.Progress(name, "games", games, len(saved))
            play(search, evaluator, settings, keys, journal, progress)
            progress.finish(len(journal.games), _pace(evaluator))
    played = [game for game in journal.games if game.game in wanted]
    record, statistics = _product(played, board_size)
    meta = {**identity, "first_game": first_game, "games": len(record)}
    write_search(output.with_suffix(".search.npz"), statistics, {**meta, "kind": "search"})
    write_games(output, record, meta)
    journal.close()
    journal_path.unlink()
    if not any(progress_dir.iterdir()):
        progress_dir.rmdir()
