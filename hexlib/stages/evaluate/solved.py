"""How often a checkpoint is right on solved positions: winner and move, by size and by depth."""

from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hexlib import files
from hexlib.errors import BadInput
from hexlib.game.board import BLUE, MAX_SIZE, MIN_SIZE, RED
from hexlib.game.notation import cell_index
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.nn.device import Device, choose
from hexlib.nn.inference import Evaluator
from hexlib.nn.model import HexNet
from hexlib.search.gumbel import player_search
from hexlib.search.interface import Search, positions_after, search_all
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


class Solved(NamedTuple):
    """K positions of one board size and the truth about them."""

    board_size: int
    games: list[list[int]]  # the moves of each
    winners: np.ndarray  # int8 [K], BLUE or RED
    winning: list[set[int]]  # all winning moves of the player to move


def read_solved(path: Path) -> list[Solved]:
    """Read a CSV of solved positions (columns as in COLUMNS): a `Solved` for each board size.

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
    rows: dict[int, list[tuple[list[int], int, set[int]]]] = {}
    for number, row in enumerate(table.itertuples(), start=2):
        try:
            n = int(str(row.board_size))
            if not MIN_SIZE <= n <= MAX_SIZE:
                raise ValueError(f"board size {n} is not from {MIN_SIZE} to {MAX_SIZE}")
            moves = [cell_index(name, n) for name in str(row.moves).split()]
            winning = {cell_index(name, n) for name in str(row.winning_moves).split()}
            if (
                row.winner not in COLOUR
                or COLOUR[str(row.to_move)] != BLUE + len(moves) % 2
                or len(set(moves)) < len(moves)
            ):
                raise ValueError("moves, to_move and winner do not agree")
            positions_after(n, [moves])
            rows.setdefault(n, []).append((moves, COLOUR[str(row.winner)], winning))
        except (ValueError, KeyError) as error:
            raise BadInput(f"{path}:{number}: {error}") from None
    return [
        Solved(
            n,
            [moves for moves, _, _ in found],
            np.array([winner for _, winner, _ in found], np.int8),
            [winning for _, _, winning in found],
        )
        for n, found in sorted(rows.items())
    ]


def _share(right: np.ndarray) -> float | None:
    """Share of what is true in bool [K], None where there is nothing."""
    return float(right.mean()) if len(right) else None


def _accuracy(known: Solved, moves: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    """Share of right signs, and, of the won positions, of moves that keep the win; by depth too.

    A value that is NaN, where a search had only one move to look at, is left out. Depth is the
    number of stones, in steps of a tenth of the board.
    """
    plies = np.array([len(game) for game in known.games])
    right = (values > 0) == (known.winners == BLUE + plies % 2)
    judged = ~np.isnan(values)
    won = np.array([bool(wins) for wins in known.winning])
    keeps = np.array(
        [move in wins for move, wins in zip(moves.tolist(), known.winning, strict=True)]
    )
    step = -(-(known.board_size**2) // 10)
    depths = []
    for first in range(0, int(plies.max()) + 1, step):
        here = (plies >= first) & (plies < first + step)
        if here.any():
            depths.append(
                {
                    "stones": [first, first + step - 1],
                    "positions": int(here.sum()),
                    "won": int((here & won).sum()),
                    "value_accuracy": _share(right[here & judged]),
                    "move_accuracy": _share(keeps[here & won]),
                }
            )
    return {
        "value_accuracy": _share(right[judged]),
        "move_accuracy": _share(keeps[won]),
        "by_depth": depths,
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


def _measure(
    network: HexNet, device: Device, board_size: int, known: Solved | None, settings: Evaluate
) -> dict[str, Any]:
    """The figures of one board size, by the raw network and with search."""
    result: dict[str, Any] = {"board_size": board_size, "raw": None, "search": None}
    evaluator = Evaluator(network, board_size, device)
    slots = settings.batch_size
    searches: dict[str, Search] = {"raw": PolicySearch(slots, board_size)}
    if settings.simulations:
        searches["search"] = player_search(slots, board_size, settings.simulations)
    for name, search in searches.items():
        values, truth = _openings_of(search, evaluator, board_size)
        figures: dict[str, Any] = {}
        if name == "raw":
            result["opening_values"] = [round(float(v), 4) for v in values]
            signs = None if truth is None else np.where(truth == BLUE, 1, -1).tolist()
            result["opening_truth"] = signs
        if known is not None:
            boards = positions_after(board_size, known.games)
            found = search_all(search, evaluator, boards, _keys(len(known.games)))
            figures |= _accuracy(known, found.move, found.value)
        if truth is not None:
            figures["openings_right"] = int(((values > 0) == (truth == BLUE)).sum())
            figures["openings"] = len(truth)
        result[name] = figures or None
    return result


def solved(
    checkpoint: Path,
    positions: str,
    settings: Evaluate,
    inference: Inference,
    board_size: int | None = None,
) -> dict[str, Any]:
    """Measure a checkpoint on solved positions, by its raw network and with search.

    `positions` is a file, `auto` for the shipped ones of the checkpoint's board size, or `none`;
    where there are none, the figures are None and the report says so. Value accuracy: share of
    positions whose value has the true winner's sign. Move accuracy: share of won positions in which
    the chosen move keeps the win. `board_size` picks one of several sizes in a file; without it all
    are measured: the result is then that of the checkpoint's own size, or of the largest, and
    `sizes` has the others.
    """
    loaded = load_checkpoint(checkpoint)
    own_size = board_size or loaded.board_sizes[-1]
    path = shipped_positions(own_size) if positions == "auto" else Path(positions)
    known: dict[int, Solved] = {}
    source = None
    if path is not None and positions != "none":
        known = {one.board_size: one for one in read_solved(path)}
        if board_size is not None and board_size not in known:
            sizes = ", ".join(map(str, known))
            raise BadInput(f"{path}: positions of board size {sizes}; {board_size} is wanted")
        if own_size not in known:
            own_size = max(known)
        if board_size is not None:
            known = {board_size: known[board_size]}
        count = sum(len(one.games) for one in known.values())
        source = {"name": path.name, "sha256": files.sha256(path), "count": count}
    device = choose(inference)
    measured = {
        size: _measure(loaded.network, device, size, known.get(size), settings)
        for size in [own_size, *(size for size in known if size != own_size)]
    }
    return {
        "kind": "solved",
        "schema": files.SCHEMA,
        "board_size": own_size,
        "checkpoint": files.sha256(checkpoint),
        "simulations": settings.simulations,
        "positions": source,
        **measured.pop(own_size),
        "sizes": list(measured.values()),
    }
