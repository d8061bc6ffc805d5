"""How strong a checkpoint is: against solved positions, and against another checkpoint."""

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hexlib import files, logs
from hexlib.errors import BadInput
from hexlib.game.board import BLUE, RED, geometry, place
from hexlib.game.notation import cell_index
from hexlib.ladder import wilson
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.search.gumbel import GumbelSearch
from hexlib.search.interface import Positions, Search, positions_after, search_all
from hexlib.search.policy import PolicySearch
from hexlib.settings import Evaluate, Inference

COLUMNS = ("board_size", "moves", "to_move", "winner", "winning_moves")
COLOUR = {"blue": BLUE, "red": RED}


def shipped_positions(board_size: int) -> Path | None:
    """The solved positions that come with hexlib for a board size, if there are any."""
    path = (
        resources.files("hexlib") / "data" / "solved" / f"positions_{board_size}x{board_size}.csv"
    )
    return Path(str(path)) if path.is_file() else None


def solved_openings(board_size: int) -> np.ndarray | None:
    """Winner of the empty board after each first move, int8 [A], or None where it is not known."""
    path = resources.files("hexlib") / "data" / "solved" / "openings.csv"
    table = pd.read_csv(Path(str(path)))
    table = table[table.board_size == board_size]
    if table.empty:
        return None
    winners = np.zeros(board_size**2, np.int8)
    for move, winner in zip(table["move"], table["winner"], strict=True):
        winners[cell_index(move, board_size)] = COLOUR[winner]
    return winners


def read_solved(path: Path) -> tuple[int, list[list[int]], np.ndarray, list[set[int]]]:
    """Read a CSV of solved positions of one board size (columns as in COLUMNS).

    Returns the board size, each position's moves, winners int8 [K] and the sets of winning moves.
    Raises BadInput that names the file and the line.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not readable as CSV ({error})") from None
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing or table.empty:
        raise BadInput(
            f"{path}: {'column ' + missing[0] + ' is missing' if missing else 'no position in it'};"
            f" wanted are the columns {', '.join(COLUMNS)}"
        )
    games, winning = [], []
    size = 0
    for number, row in enumerate(table.itertuples(), start=2):
        try:
            n = int(str(row.board_size))
            if size and n != size:
                raise ValueError(f"board size {n} after {size}; give one file a size")
            size = n
            games.append([cell_index(name, n) for name in str(row.moves).split()])
            winning.append({cell_index(name, n) for name in str(row.winning_moves).split()})
            if (
                row.winner not in COLOUR
                or COLOUR[str(row.to_move)] != BLUE + len(games[-1]) % 2
                or len(set(games[-1])) < len(games[-1])
            ):
                raise ValueError("moves, to_move and winner do not agree")
        except (ValueError, KeyError) as error:
            raise BadInput(f"{path}:{number}: {error}") from None
    return size, games, np.array([COLOUR[w] for w in table["winner"]], np.int8), winning


def _accuracy(
    moves: np.ndarray, values: np.ndarray, won: np.ndarray, winning: list[set[int]]
) -> dict[str, float]:
    """Share of right signs, and, of the won positions, of moves that keep the win."""
    known = ~np.isnan(values)
    keeps = [int(move) in wins for move, wins in zip(moves, winning, strict=True) if wins]
    return {
        "value_accuracy": float(((values > 0) == won)[known].mean()),
        "move_accuracy": float(np.mean(keeps)),
    }


def _keys(count: int) -> np.ndarray:
    """Keys for searches in which nothing is random."""
    return np.zeros(count, np.uint64)


def _openings_of(
    search: Search, evaluator: Evaluator, board_size: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Value of each first move for blue, who makes it, float32 [A], and the true winners."""
    firsts = positions_after(board_size, [[cell] for cell in range(board_size**2)])
    found = search_all(search, evaluator, firsts, _keys(board_size**2))
    return -found.value, solved_openings(board_size)


def solved(
    checkpoint: Path, positions: str, settings: Evaluate, inference: Inference, board_size: int
) -> dict[str, Any]:
    """Measure a checkpoint on solved positions, by its raw network and with search.

    `positions` is a file, `auto` for the shipped ones, or `none`. Where there are none, the figures
    are None and the report says so. Value accuracy: share of positions whose value has the true
    winner's sign. Move accuracy: share of won positions in which the chosen move keeps the win.
    """
    network = load_checkpoint(checkpoint).network
    path = shipped_positions(board_size) if positions == "auto" else Path(positions)
    result: dict[str, Any] = {
        "kind": "solved",
        "schema": files.SCHEMA,
        "board_size": board_size,
        "checkpoint": files.sha256(checkpoint),
        "simulations": settings.simulations,
        "positions": None,
        "raw": None,
        "search": None,
    }
    device = choose(inference)
    if path is not None and positions != "none":
        size, games, winners, winning = read_solved(path)
        if size != board_size:
            raise BadInput(f"{path}: positions of board size {size}, where {board_size} is wanted")
        result["positions"] = {"name": path.name, "sha256": files.sha256(path), "count": len(games)}
    evaluator = Evaluator(network, board_size, device)
    slots = settings.batch_size
    searches: dict[str, Search] = {
        "raw": PolicySearch(slots, board_size),
        "search": GumbelSearch(slots, board_size, settings.simulations, noise_scale=0),
    }
    for name, search in searches.items():
        values, truth = _openings_of(search, evaluator, board_size)
        figures: dict[str, float] = {}
        if name == "raw":
            result["opening_values"] = [round(float(v), 4) for v in values]
            signs = None if truth is None else np.where(truth == BLUE, 1, -1).tolist()
            result["opening_truth"] = signs
        if result["positions"] is not None:
            boards = positions_after(board_size, games)
            found = search_all(search, evaluator, boards, _keys(len(games)))
            figures |= _accuracy(found.move, found.value, winners == boards.colours, winning)
        if truth is not None:
            figures["openings_right"] = int(((values > 0) == (truth == BLUE)).sum())
            figures["openings"] = len(truth)
        result[name] = figures or None
    return result


def openings(board_size: int, games: int, seed: int) -> list[list[int]]:
    """Openings for `games` // 2 pairs: every first move, then distinct random pairs of moves."""
    area = board_size**2
    chosen = [[cell] for cell in range(area)]
    random = np.random.Generator(np.random.Philox(key=[seed, board_size]))
    pairs = random.permutation(area * (area - 1))
    for number in pairs[: max(0, games // 2 - area)]:
        first, second = divmod(int(number), area - 1)
        chosen.append([first, second + (second >= first)])
    # Where there are fewer games than first moves, let them be any of them.
    order = random.permutation(area) if games // 2 < area else np.arange(len(chosen))
    return [chosen[k] for k in order[: games // 2]]


def _name(checkpoint: Path) -> str:
    """`gen_003` for gen_003/train/checkpoint.pt, else the file's own name."""
    made_by_run = checkpoint.name == "checkpoint.pt"
    return checkpoint.resolve().parent.parent.name if made_by_run else checkpoint.stem


def match(
    a: Path, b: Path, settings: Evaluate, inference: Inference, board_size: int, seed: int
) -> dict[str, Any]:
    """Play two checkpoints against each other: each opening twice, with colours exchanged.

    Both search with `settings.simulations` and without noise, so that a game is a function of its
    opening and the two networks. The interval is Wilson's, of 95 %.
    """
    device = choose(inference)
    pairs = openings(board_size, settings.games, seed)
    games = [list(opening) for opening in pairs for _ in range(2)]
    a_is = np.array([BLUE, RED] * len(pairs), np.int8)
    evaluators = [Evaluator(load_checkpoint(p).network, board_size, device) for p in (a, b)]
    searches = [
        GumbelSearch(settings.batch_size, board_size, settings.simulations, noise_scale=0)
        for _ in (a, b)
    ]
    cells, chains, edges, _ = positions_after(board_size, games)
    plies = np.array([len(game) for game in games])
    winner = np.zeros(len(games), np.int8)
    tables = geometry(board_size)
    progress = logs.Progress("evaluate match", "games", len(games))
    while (winner == 0).any():
        for player in range(2):
            to_move = (BLUE + plies % 2).astype(np.int8)
            theirs = np.where(to_move == a_is, 0, 1)
            turn = np.flatnonzero((winner == 0) & (theirs == player))
            if not len(turn):
                continue
            position = Positions(cells[turn], chains[turn], edges[turn], to_move[turn])
            found = search_all(searches[player], evaluators[player], position, _keys(len(turn)))
            for g, move in zip(turn, found.move, strict=True):
                if place(cells[g], chains[g], edges[g], move, to_move[g], *tables):
                    winner[g] = to_move[g]
            plies[turn] += 1
        progress.update(int((winner != 0).sum()))
    won = winner == a_is
    return {
        "kind": "match",
        "schema": files.SCHEMA,
        "board_size": board_size,
        "a": {"name": _name(a), "sha256": files.sha256(a)},
        "b": {"name": _name(b), "sha256": files.sha256(b)},
        "simulations": settings.simulations,
        "games": len(games),
        "a_wins": int(won.sum()),
        "a_wins_as_blue": int((won & (a_is == BLUE)).sum()),
        "a_wins_as_red": int((won & (a_is == RED)).sum()),
        "score": float(won.mean()),
        "interval": list(wilson(int(won.sum()), len(games))),
    }
