"""Games of the last generation that are worth watching, chosen by what the search thought."""

from pathlib import Path

import numpy as np

from hexlib.errors import BadInput
from hexlib.game import positions, records, trmph
from hexlib.game.notation import COLOUR_NAME
from hexlib.pages.games import Ply, ShownGame, shown_policy
from hexlib.sources import search_path

OF_EACH = 2  # games of each kind of interest
FEWEST = 4  # known values from which a game has a favourite


def games_worth_watching(folder: Path) -> list[ShownGame]:
    """The longest games of a generation, the most surprising, and those the favourite lost.

    Reads the cleaned chunks in `folder` with their search statistics. A game is the more surprising
    the more the value changes from a player's move to his next; its favourite is whom the mean
    value names. A game is chosen once, for the first reason that it has. Raises BadInput for a
    damaged file.
    """
    found: list[tuple[str, float, ShownGame]] = []
    for path in sorted(folder.glob("chunk_*.trmph")):
        found += _best_of(path)
    chosen: dict[tuple[int, ...], ShownGame] = {}
    for kind in ("longest", "most surprising", "lost by the favourite"):
        ranked = sorted((one for one in found if one[0] == kind), key=lambda one: -one[1])
        fresh = [game for _, _, game in ranked if tuple(game.moves) not in chosen]
        for game in fresh[:OF_EACH]:
            chosen[tuple(game.moves)] = game
    return list(chosen.values())


def _best_of(path: Path) -> list[tuple[str, float, ShownGame]]:
    """For each kind of interest the best games of a chunk, enough that no game is chosen twice."""
    size = trmph.board_size_of(path)
    if size is None:  # an empty chunk
        return []
    search, _ = records.read_search(search_path(path))
    entries = positions.offsets_of(search.policy_count)
    found, first_move, first_game = [], 0, 1
    for block in records.read_games(path, size):
        games = block.games
        if not len(games):
            continue
        moves = len(games.moves)
        values = search.root_value[first_move : first_move + moves].astype(np.float64)
        if len(values) != moves:
            raise BadInput(f"{path.name}: has more moves than its search statistics; make it again")
        for kind, scores in _interest(games, values).items():
            order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
            for g in order[: 3 * OF_EACH]:
                if not np.isfinite(scores[g]):
                    continue
                game = _shown(games, int(g), kind, first_move, search, entries)
                game.source = f"{path.parents[1].name}/clean/{path.name}, game {first_game + g}"
                found.append((kind, float(scores[g]), game))
        first_move += moves
        first_game += len(games)
    return found


def _interest(games: records.Games, values: np.ndarray) -> dict[str, np.ndarray]:
    """How interesting each game is by each measure, float [G]; NaN or −∞ where it cannot be said.

    `values` float64 [M] are those of the player to move at each move, NaN where there are none.
    """
    lengths = np.diff(games.offsets)
    ply = np.arange(len(values)) - np.repeat(games.offsets[:-1], lengths)
    winners = np.repeat(games.winners, lengths)
    for_winner = np.where(ply % 2 + 1 == winners, values, -values)
    # Two plies apart, so that how the player to move sees things is on both sides.
    change = np.full(len(values), np.nan)
    change[2:] = np.abs(for_winner[2:] - for_winner[:-2])
    change[ply < 2] = np.nan
    known = np.isfinite(for_winner)
    starts = games.offsets[:-1]
    count = np.add.reduceat(known, starts, dtype=np.int64)
    total = np.add.reduceat(np.where(known, for_winner, 0.0), starts)
    mean = np.where(count >= FEWEST, total / np.maximum(count, 1), np.nan)
    return {
        "longest": lengths.astype(float),
        "most surprising": np.maximum.reduceat(np.nan_to_num(change, nan=-np.inf), starts),
        "lost by the favourite": np.where(mean < 0, -mean, np.nan),
    }


def _shown(
    games: records.Games,
    g: int,
    kind: str,
    first_move: int,
    search: records.SearchStatistics,
    entries: np.ndarray,
) -> ShownGame:
    """Game g of a block whose first move is number `first_move` of the statistics."""
    start, end = int(games.offsets[g]), int(games.offsets[g + 1])
    winner = int(games.winners[g])
    plies: list[Ply] = []
    for k in range(first_move + start, first_move + end):
        part = slice(entries[k], entries[k + 1])
        value = float(search.root_value[k])
        sign = 1 if len(plies) % 2 == 0 else -1
        plies.append(
            Ply(
                None if np.isnan(value) else sign * value,
                shown_policy(
                    search.policy_cell[part], search.policy_probability[part].astype(np.float64)
                ),
            )
        )
    plies.append(Ply(1.0 if winner == 1 else -1.0))
    return ShownGame(
        title=f"{kind[0].upper()}{kind[1:]}: {COLOUR_NAME[winner]} wins in {end - start} moves",
        source="",
        size=games.board_size,
        moves=[int(move) for move in games.moves[start:end]],
        winner=winner,
        plies=plies,
    )
