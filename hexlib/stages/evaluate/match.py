"""Two sides against each other: each opening twice, with colours exchanged."""

from collections import Counter
from typing import Any

import numpy as np

from hexlib import files, logs, rng
from hexlib.game.board import BLUE, EMPTY, RED, geometry, place
from hexlib.ladder import wilson
from hexlib.search.interface import Positions, positions_after
from hexlib.stages.evaluate.openings import openings
from hexlib.stages.evaluate.sequential import Sprt
from hexlib.stages.evaluate.sides import Side, Turn, described

# With a test to stop by, so many games are begun at a time at most: others might be for nothing.
TESTED_AT_ONCE = 64


class _Games:
    """All games of a match; game 2k and 2k + 1 have opening k, a being blue in the first."""

    def __init__(self, board_size: int, chosen: list[list[int]], seed: int):
        self.moves = [list(opening) for opening in chosen for _ in range(2)]
        self.position = positions_after(board_size, self.moves)
        self.a_is = np.array([BLUE, RED] * len(chosen), np.int8)
        self.winner = np.zeros(len(self.moves), np.int8)
        self.forfeits: dict[int, str] = {}  # why the loser of a game could not go on
        self._keys = np.array([rng.game_key(seed, 0, g) for g in range(len(self.moves))], np.uint64)
        self._tables = geometry(board_size)

    def to_move(self, games: np.ndarray) -> np.ndarray:
        """Colour to move in some games, int8 [K]."""
        return np.array([BLUE + len(self.moves[g]) % 2 for g in games], np.int8)

    def turn(self, games: np.ndarray) -> Turn:
        """What a side must know to move in these games."""
        cells, chains, edges, _ = self.position
        plies = np.array([len(self.moves[g]) for g in games], np.uint64)
        return Turn(
            games,
            [self.moves[g] for g in games],
            Positions(cells[games], chains[games], edges[games], self.to_move(games)),
            np.array(
                [rng.subkey(*key) for key in zip(self._keys[games], plies, strict=True)], np.uint64
            ),
        )

    def play(self, game: int, choice: int | str) -> None:
        """Make a side's move, or end the game where there is none."""
        colour = BLUE + len(self.moves[game]) % 2
        cells, chains, edges, _ = self.position
        if isinstance(choice, int) and cells[game, choice] != EMPTY:
            choice = "illegal move"
        if isinstance(choice, str):
            self.winner[game] = BLUE + RED - colour
            self.forfeits[game] = choice
            return
        self.moves[game].append(choice)
        if place(cells[game], chains[game], edges[game], choice, colour, *self._tables):
            self.winner[game] = colour

    def pairs(self) -> np.ndarray:
        """Of the pairs up to the first that is not over: games won by a, int [P], 0 to 2."""
        over = (self.winner != EMPTY).reshape(-1, 2).all(1)
        whole = len(over) if over.all() else int(over.argmin())
        return (self.winner == self.a_is).reshape(-1, 2)[:whole].sum(1)


def _tested(pairs: np.ndarray, sprt: Sprt) -> tuple[str | None, int]:
    """The first verdict as pairs come in one by one, and after how many; or None, and all."""
    for count in range(1, len(pairs) + 1):
        if verdict := sprt.verdict(np.bincount(pairs[:count], minlength=3)):
            return verdict, count
    return None, len(pairs)


def _blue_value(sides: tuple[Side, Side], games: list[list[int]]) -> np.ndarray | None:
    """The mean of what the sides that have a network think; None where no side has one."""
    said = [value for side in sides if (value := side.blue_value(games)) is not None]
    return np.mean(said, axis=0) if said else None


def match(
    a: Side, b: Side, board_size: int, games: int, seed: int, sprt: Sprt | None = None
) -> dict[str, Any]:
    """Play `games` // 2 pairs of games; the result is what `match.json` holds.

    Both games of a pair have the same opening (see `openings`; even is what the sides' networks
    call so). A side that cannot go on, by time-out, crash, illegal move or resignation, has lost
    that game. With `sprt` the match is over when the test is, and pairs beyond that do not count.
    The interval is Wilson's, of 95 %.
    """
    if a.name == b.name and a.sha256 == b.sha256 and a.simulations == b.simulations:
        logs.log.info(f"evaluate match: {a.name} plays against itself")
    sides = (a, b)
    chosen = openings(board_size, games // 2, seed, lambda pairs: _blue_value(sides, pairs))
    table = _Games(board_size, chosen, seed)
    limits = [side.at_once for side in sides if side.at_once]
    limits += [TESTED_AT_ONCE] if sprt else []
    at_once = min([len(table.moves), *limits])
    progress = logs.Progress("evaluate match", "games", len(table.moves))
    active: list[int] = []
    begun, verdict, counted = 0, None, len(chosen)
    while verdict is None and (begun < len(table.moves) or active):
        started = range(begun, min(begun + at_once - len(active), len(table.moves)))
        active, begun = [*active, *started], begun + len(started)
        for number, side in enumerate(sides):
            games_now = np.array([g for g in active if table.winner[g] == EMPTY], np.int64)
            is_a = table.to_move(games_now) == table.a_is[games_now]
            mine = games_now[is_a == (number == 0)]
            if not len(mine):
                continue
            for game, choice in zip(mine.tolist(), side.choose(table.turn(mine)), strict=True):
                table.play(game, choice)
        over = [game for game in active if table.winner[game] != EMPTY]
        active = [game for game in active if table.winner[game] == EMPTY]
        for side in sides:
            side.close(over)
        if sprt and over:
            verdict, counted = _tested(table.pairs(), sprt)
        progress.update(int((table.winner != EMPTY).sum()))
    for side in sides:
        side.close(active)
    result = _result(table, sides, board_size, 2 * counted)
    if sprt:
        result["sprt"] = {"low": sprt.low, "high": sprt.high, "verdict": verdict}
    return result


def _result(table: _Games, sides: tuple[Side, Side], board_size: int, games: int) -> dict[str, Any]:
    """What is to be told of the first `games`."""
    a, b = sides
    won = (table.winner == table.a_is)[:games]
    as_blue = table.a_is[:games] == BLUE
    pairs = np.bincount(won.reshape(-1, 2).sum(1), minlength=3)
    reasons: dict[str, Counter[str]] = {"a": Counter(), "b": Counter()}
    for game, why in table.forfeits.items():
        if game < games:
            reasons["b" if won[game] else "a"][why] += 1
    return {
        "kind": "match",
        "schema": files.SCHEMA,
        "board_size": board_size,
        "a": described(a),
        "b": described(b),
        "simulations": a.simulations if a.simulations == b.simulations else None,
        "games": games,
        "a_wins": int(won.sum()),
        "a_wins_as_blue": int((won & as_blue).sum()),
        "a_wins_as_red": int((won & ~as_blue).sum()),
        "score": float(won.mean()),
        "interval": list(wilson(int(won.sum()), games)),
        "pairs": {"won": int(pairs[2]), "split": int(pairs[1]), "lost": int(pairs[0])},
        "forfeits": {name: dict(counts) for name, counts in reasons.items()},
    }
