"""Self-play: games by the network against itself, saved as they finish."""

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hexlib import files, logs, provenance, rng, signals
from hexlib.errors import BadInput
from hexlib.game.board import geometry
from hexlib.game.journal import Journal, PlayedGame
from hexlib.game.positions import offsets_of
from hexlib.game.records import Games, SearchStatistics, write_games, write_search
from hexlib.nn.backends import Answer
from hexlib.nn.cache import CachedEvaluator
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.search.gumbel import GumbelSearch
from hexlib.search.interface import Positions, Search
from hexlib.search.minimax import MinimaxSearch
from hexlib.search.policy import PolicySearch
from hexlib.settings import Inference, Selfplay
from hexlib.stages.selfplay.openings import openings
from hexlib.stages.selfplay.table import (
    habits_of,
    make_moves,
    new_table,
    open_games,
    played,
    winner_of,
)


def _pace(evaluator: CachedEvaluator) -> str:
    return f"{evaluator.asked:,} positions asked for, {evaluator.hit_rate:.0%} of them in the cache"


def new_search(settings: Selfplay, slots: int, board_size: int) -> Search:
    """The search that the settings name."""
    if settings.search == "gumbel":
        return GumbelSearch(
            *(slots, board_size, settings.simulations, settings.considered),
            cheap_simulations=settings.cheap_simulations,
            thorough_simulations=settings.early_simulations,
            c_scale=settings.c_scale,
        )
    if settings.search == "minimax":
        return MinimaxSearch(slots, board_size, settings.widths)
    return PolicySearch(slots, board_size)


class Resignations:
    """How many games were given up, and how often that would have been wrong."""

    def __init__(self) -> None:
        self.resigned = 0
        self.tested = 0  # would have been resigned, but belong to the share that never is
        self.wrong = 0  # of those, won by the player who would have resigned

    def count(self, loser: int, resigned: bool, winner: int) -> None:
        """Count a finished game; `loser` is the colour that would resign, or 0."""
        self.resigned += resigned
        self.tested += bool(loser) and not resigned
        self.wrong += bool(loser) and not resigned and loser == winner

    def __str__(self) -> str:
        return (
            f"{self.resigned:,} games resigned; of {self.tested:,} that would have been and were"
            f" played out, {self.wrong:,} were won by the player who would have resigned"
        )


class Lane(NamedTuple):
    """Slots of the table that think and ask the network together."""

    search: Search
    first: int  # slot of the table that slot 0 of the search plays in


def lanes_of(settings: Selfplay, evaluator: CachedEvaluator, slots: int) -> list[Lane]:
    """Slots in as many lanes as the network can be asked by at once."""
    size = -(-slots // evaluator.at_once)
    return [
        Lane(new_search(settings, min(size, slots - first), evaluator.board_size), first)
        for first in range(0, slots, size)
    ]


def play(
    lanes: list[Lane],
    evaluator: CachedEvaluator,
    settings: Selfplay,
    keys: dict[int, np.uint64],
    journal: Journal,
    progress: logs.Progress,
) -> None:
    """Play the games whose numbers and keys are given, and add each to the journal as it ends.

    With several lanes one moves on while the network works for the others.
    """
    board_size = evaluator.board_size
    tables = geometry(board_size)
    slots = sum(lane.search.slots for lane in lanes)
    table = new_table(slots, board_size)
    habits = habits_of(settings)
    game_in = np.full(slots, -1, np.int64)
    queue = deque(keys)
    all_keys = np.array(list(keys.values()), np.uint64)
    stones = openings(all_keys, settings, evaluator, board_size)
    resignations = Resignations()
    positions = Positions(table.cells, table.chains, table.edges, table.colour)
    asked: deque[tuple[Lane, Callable[[], Answer]]] = deque()

    def begin(slots: np.ndarray) -> np.ndarray:
        slots = slots[: len(queue)]
        if len(slots):
            games = [queue.popleft() for _ in slots]
            game_in[slots] = games
            slot_keys = np.array([keys[game] for game in games], np.uint64)
            begun = np.stack([next(stones) for _ in games])
            open_games(table, slots, slot_keys, begun, habits, *tables)
        return slots

    def think(lane: Lane, slots: np.ndarray) -> np.ndarray:
        """Of the table's slots, the lane's own ones that are done already are returned."""
        search, first = lane
        return search.start(slots - first, positions, slots, table.move_key, table.effort)

    def settle(lane: Lane, done: np.ndarray) -> None:
        """Make the moves that a lane has found, until all its slots wait for the network."""
        while len(done):
            found = lane.search.found(done)
            drawn = (found.move, found.value, found.policy, lane.search.target)
            slots = done + lane.first
            over = make_moves(table, slots, *drawn, habits, *tables)
            ended = slots[over]
            for g in ended:
                journal.add(played(table, g, int(game_in[g])))
                resignations.count(table.loser[g], table.resigned[g], winner_of(table, g))
            if len(ended):
                slots = np.concatenate([slots[~over], begin(ended)])
            done = think(lane, slots)
        boards = lane.search.waiting()
        if len(boards):
            asked.append((lane, evaluator.ask(boards)))

    for lane in lanes:
        settle(lane, think(lane, begin(lane.first + np.arange(lane.search.slots))))
    signals.defer()
    while asked:
        done_games = len(journal.games)
        progress.update(done_games, partial(_pace, evaluator))
        signals.stop_if_asked(
            f"{progress.name}: stopped, {done_games:,} of {progress.total:,} games are saved;"
            " run the same command to go on"
        )
        lane, answer = asked.popleft()
        settle(lane, lane.search.advance(*answer()))
    if settings.resign_value > 0:
        logs.log.info(f"{progress.name}: {resignations}")


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
            offsets_of(np.array(lengths, np.int64)),
            np.array([game.winner for game in games], np.int8),
        ),
        SearchStatistics(
            joined("root_value", np.float16),
            joined("policy_count", np.uint8),
            joined("policy_cell", np.uint16),
            joined("policy_probability", np.float16),
        ),
    )


def _unused(settings: Selfplay) -> set[str]:
    """Settings that do not alter the games of this search."""
    searches = {
        "gumbel": {
            *("simulations", "considered", "c_scale", "cheap_simulations"),
            *("early_simulations", "early_stones"),
        },
        "minimax": {"widths"},
        "policy": set(),
    }
    others = set().union(*(keys for name, keys in searches.items() if name != settings.search))
    return others | {
        *("games", "shards", "batch_size", "cache_size", "existing", "accept_partial"),
    }


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
    keep_progress: bool = False,
    finish_partial: bool = False,
) -> None:
    """Play games `first_game` to `first_game + games − 1` of a generation into a shard.

    Writes `output` (.trmph) and its `.search.npz`. Finished games are kept in `progress_dir` and
    are not played again by a later run, until the shard is done and they are removed, or, with
    `keep_progress`, longer; with `finish_partial` (or `settings.accept_partial`, if
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
        "settings": settings.model_dump(exclude=_unused(settings)),
    }
    network = load_checkpoint(checkpoint).network
    evaluator = CachedEvaluator(
        Evaluator(network, board_size, choose(inference)), settings.cache_size
    )
    identity["device"] = evaluator.evaluator.device.inference
    logs.detail("settings: %s", identity)
    logs.detail("network evaluated on %s", evaluator.evaluator.device)
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
            lanes = lanes_of(settings, evaluator, min(settings.batch_size, len(keys)))
            progress = logs.Progress(name, "games", games, len(saved))
            play(lanes, evaluator, settings, keys, journal, progress)
            progress.finish(len(journal.games), _pace(evaluator))
    played = [game for game in journal.games if game.game in wanted]
    record, statistics = _product(played, board_size)
    meta = {**identity, "first_game": first_game, "games": len(record)}
    meta |= {"code": provenance.code(), "versions": provenance.versions()}
    write_search(output.with_suffix(".search.npz"), statistics, {**meta, "kind": "search"})
    write_games(output, [record], meta)
    journal.close()
    if keep_progress:
        return
    journal_path.unlink()
    if not any(progress_dir.iterdir()):
        progress_dir.rmdir()
