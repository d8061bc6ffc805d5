"""How many games, moves and positions a run will make, told from its settings before it is made.

Everything that a plan says of a run, such as its disk, follows from these numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hexlib import sources
from hexlib.run_config import Config
from hexlib.settings import Selfplay

# Seen in runs on 5×5 and 7×7 of up to 12 generations. Four of them took 0.87 to 1.01 times the disk
# that `hexlib.planning.disk` tells.
PLAYED_BY_LEARNED = 0.52  # share of the cells that a game of a trained network fills
LEARNED_AFTER = 50_000  # samples, about
SHARPER = 0.033  # share by which a generation's policy has fewer entries, of the first one's
SHARPEST = 0.25  # assumed, as no run was long enough to show it
# `selfplay.c_scale` of the runs that these are of. Policies of a trained network have entries in
# inverse proportion to it, about: with 0.2 from 0.65 to 0.27 as many, with 0.4 from 0.29 to 0.19,
# in generations 3 to 8 of runs on 7×7.
C_SCALE = 0.1
DECIDED = 0.57  # share of the positions after an opening whose search is sure of the winner
DROPPED = 0.28  # share of the random stones saved where decided openings are drawn anew
FEWER_STONES = 0.9  # share by which more openings have few stones then
LENGTHENED = 0.45  # moves by which a game is longer for each random stone that it begins without
GIVEN_UP = 0.4  # share of the moves after an opening that a resignation at 0.95 would come before


@dataclass(frozen=True)
class Generation:
    """What one generation makes. Numbers are of all its games."""

    number: int
    games: int
    moves: int
    searched: int  # moves that a search chose, after the opening
    early: int  # of these, with fewer than `selfplay.early_stones` stones on the board
    entries: int  # of the policies that searches recorded; 0 if there were none
    rows: int  # positions
    row_entries: int  # of their policies
    samples: int  # drawn in its training


def chunks_of(config: Config, made: Generation) -> int:
    """Chunks into which a generation's games are cleaned."""
    return max(1, -(-made.games // config.clean.chunk_size))


def forecast(config: Config) -> list[Generation]:
    """Each generation that a run with these settings makes.

    Games by an untrained network get longer with the board (seen on 5×5 to 13×13), those of a
    trained one fill half of it (on 7×7). The policy of a Gumbel search has an entry for nearly
    every empty cell at first and fewer each generation. Nothing is taken off for duplicates, nor
    off the policies for resignations, which come where these have few entries. Games that
    `selfplay.existing` names are told from their files; `BadInput` if those are missing.
    """
    made: list[Generation] = []
    trained = config.initial_checkpoint is not None or config.generations.first > 0
    samples = 0
    for number in range(config.generations.first, config.generations.count):
        learned = 1.0 if trained else -math.expm1(-samples / LEARNED_AFTER)
        if config.selfplay.existing:
            games, moves, entries = _existing(sources.game_files(config.selfplay.existing), config)
            searched, early = moves, 0
        else:
            games, moves, searched, entries = _played(config, number, learned)
            early = round(games * _early(config.selfplay, config.board_size_of(number)))
        rows, row_entries = _positions(config, number, games, moves, entries)
        if config.process.replies and config.process.positions == "all":
            full = 1.0 if config.selfplay.existing else config.selfplay.full_search
            row_entries += max(0, round(searched * full) - games)  # none after the last move
        drawn = _samples(config, rows, games, searched)
        made.append(
            Generation(number, games, moves, searched, early, entries, rows, row_entries, drawn)
        )
        samples += drawn
    return made


def given_up(settings: Selfplay) -> float:
    """The share of the moves after an opening that come after a resignation."""
    return GIVEN_UP * (1 - settings.never_resign) if settings.resign_value > 0 else 0.0


def _samples(config: Config, rows: int, games: int, searched: int) -> int:
    """Samples that a training draws of a generation's rows; those that weigh 0 are never drawn."""
    weighed: float = rows
    if not config.selfplay.existing and config.process.positions == "all":
        after_openings = games + searched
        decided = DECIDED * after_openings - given_up(config.selfplay) * searched
        weighed = (1 - DECIDED) * after_openings + decided * config.process.decided
        weighed *= config.selfplay.full_search
    training = weighed * (1 - config.train.validation_fraction)
    return round(min(config.train.reuse * training, config.train.max_samples))


def _played(config: Config, number: int, learned: float) -> tuple[int, int, int, int]:
    """Games, moves, those of them that are searched, and policy entries of self-play.

    `learned` is 0 for random weights, up to 1.
    """
    n, settings = config.board_size_of(number), config.selfplay
    area = n * n
    length = area * ((1 - learned) * (0.53 + 0.015 * n) + learned * PLAYED_BY_LEARNED)
    stones = settings.most_stones(n)
    drawn = settings.random_openings * (0.5 + stones / (1 + settings.random_stones_power))
    saved = drawn * DROPPED * settings.balanced_openings * learned
    length += LENGTHENED * saved
    # What is not learned: the opening, and moves that are forced.
    opening = min(drawn - saved + 1.2, length)
    if settings.search == "gumbel":
        empty = area - (length + opening - 1) / 2  # on average
        share = (1 - 6 / n**2.5) * max(SHARPEST, 1 - SHARPER * number * learned)
        share *= min(1.0, C_SCALE / settings.c_scale) ** learned
        each = min(empty * share, 255) * settings.full_search
    else:
        each = 1.0
    searched = settings.games * (length - opening)
    return settings.games, round(settings.games * length), round(searched), round(searched * each)


def _early(settings: Selfplay, board_size: int) -> float:
    """The searched moves of a game that are made with few stones on the board."""
    few, most = settings.early_stones, settings.most_stones(board_size)
    random = settings.random_openings if most else 0.0
    one = (1 - random) * settings.balanced_first_move
    early = 0.0
    for stones in range(1, min(few - 1, most) + 1):
        power = 1 / settings.random_stones_power
        share = (stones / most) ** power - ((stones - 1) / most) ** power
        early += random * share * (few - stones)
    early *= 1 + FEWER_STONES * settings.balanced_openings
    return early + (1 - random - one) * few + one * max(0, few - 1)


def _existing(paths: Sequence[Path], config: Config) -> tuple[int, int, int]:
    """The same of files of games: from their bytes, as a record has one size and its moves another.

    Compressed files are taken to be a fifth of their content.
    """
    games = sources.count_records(paths, config.on_corrupt)
    size = sum(p.stat().st_size * (5 if p.suffix in (".gz", ".zst") else 1) for p in paths)
    moves = max(0, round((size - games * RECORD) / bytes_of_move(config.board_size)))
    beside = {found for found in map(sources.search_path, paths) if found.is_file()}
    searched = sum(path.stat().st_size for path in beside)
    return games, moves, max(0, searched - 3 * moves) // 4


def _positions(
    config: Config, number: int, games: int, moves: int, entries: int
) -> tuple[int, int]:
    """How many positions are made of games, and how many policy entries these have."""
    entries = entries or moves  # the played ones
    match config.process.positions:
        case "all":
            return games + moves, entries
        case "final":
            return games, 0
        case _:  # the last moves, before which few cells are empty
            empty = config.board_size_of(number) ** 2 - moves / max(games, 1)
            average = entries / max(moves, 1)
            return games, round(games * max(1.0, min(average, empty)))


RECORD = 6  # bytes of a record besides its moves: `#7,` before them, ` b` and the line end after


def bytes_of_move(board_size: int) -> float:
    """Mean length of a cell's name, such as `a1` or `k11`, in bytes."""
    rows = range(1, board_size + 1)
    return 1 + sum(len(str(row)) for row in rows) / board_size
