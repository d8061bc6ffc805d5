"""Positions to measure on, more than are solved: random play, judged by a network's deep search.

What it writes is read by `hexlib evaluate solved --positions`. The judge errs where its search
does, so this is no truth: it tells apart players that are much weaker than the judge.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from hexlib.game.board import BLUE, RED
from hexlib.game.notation import COLOUR_NAME, cell_name
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.search.gumbel import GumbelSearch
from hexlib.search.interface import Search, positions_after, search_all
from hexlib.search.policy import PolicySearch
from hexlib.settings import Inference
from hexlib.stages.evaluate.solved import COLUMNS

AT_ONCE = 128  # searches
C_SCALE = 0.1  # with which the judgements were made that docs/recipe.md compares by
FULLEST = 0.6  # of the board's cells
FEWER = 5  # times fewer simulations judge each move of a won position than judge the position


def main() -> None:
    """Make them and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="C", help="The judge.")
    parser.add_argument("--output", type=Path, required=True, metavar="F.csv")
    parser.add_argument("--count", type=int, default=1500, metavar="N", help="Positions, about.")
    parser.add_argument("--simulations", type=int, default=500, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument(
        "--most-stones", type=int, metavar="N", help="In a position; 0.6 of the cells if not told."
    )
    parser.add_argument(
        "--unsure",
        type=float,
        default=1.0,
        metavar="V",
        help="Only positions to which the judge without a search gives a value within ±V.",
    )
    arguments = parser.parse_args()
    judge = Judge(arguments.checkpoint)
    most = arguments.most_stones or int(FULLEST * judge.board_size**2)
    games = random_games(judge.board_size, arguments.count, arguments.seed, most)
    if arguments.unsure < 1:
        unsure = np.abs(judge.values(games, 0)) <= arguments.unsure
        games = [games[k] for k in np.flatnonzero(unsure)]
    table = judged(judge, games, arguments.simulations)
    table.to_csv(arguments.output, index=False)
    won = (table.winning_moves != "").sum()
    print(f"{arguments.output}: {len(table)} positions, {won} won for the player to move")


def random_games(n: int, count: int, seed: int, most: int) -> list[list[int]]:
    """Different starts of games of random moves, of two to `most` stones, none of them over."""
    draw = np.random.default_rng(seed)
    found: dict[frozenset[tuple[int, int]], list[int]] = {}
    for _ in range(count):
        moves = draw.permutation(n * n)[: draw.integers(2, most + 1)].tolist()
        if not over(n, moves):
            found[frozenset((cell, ply % 2) for ply, cell in enumerate(moves))] = moves
    return list(found.values())


def over(n: int, moves: list[int]) -> bool:
    """Whether somebody has won."""
    try:
        positions_after(n, [moves])
    except ValueError:
        return True
    return False


class Judge:
    """A network that searches."""

    def __init__(self, checkpoint: Path):
        loaded = load_checkpoint(checkpoint)
        self.board_size = loaded.board_sizes[-1]
        device = choose(Inference(device="cpu"))
        self._evaluator = Evaluator(loaded.network, self.board_size, device)

    def values(self, games: list[list[int]], simulations: int) -> np.ndarray:
        """For the player to move after each game, float32 [K]; with 0 simulations the network's."""
        search: Search = PolicySearch(AT_ONCE, self.board_size)
        if simulations:
            search = GumbelSearch(
                AT_ONCE, self.board_size, simulations, noise_scale=0, c_scale=C_SCALE
            )
        boards = positions_after(self.board_size, games)
        found = search_all(search, self._evaluator, boards, np.zeros(len(games), np.uint64))
        forced = np.flatnonzero(np.isnan(found.value))  # where the search has one move to look at
        if len(forced):
            after = [[*games[k], int(found.move[k])] for k in forced]
            found.value[forced] = -self.values(after, simulations)
        return found.value


def judged(judge: Judge, games: list[list[int]], simulations: int) -> pd.DataFrame:
    """A row of `COLUMNS` for each game, but for those on which the judge contradicts itself."""
    n = judge.board_size
    values = judge.values(games, simulations)
    wins: list[list[int]] = [[] for _ in games]
    untold = []  # moves of won positions that do not end the game
    for k in np.flatnonzero(values > 0):
        for cell in sorted(set(range(n * n)) - set(games[k])):
            if over(n, [*games[k], cell]):
                wins[k].append(cell)
            else:
                untold.append((k, cell))
    after = judge.values([[*games[k], cell] for k, cell in untold], simulations // FEWER)
    for (k, cell), value in zip(untold, after, strict=True):
        if value < 0:
            wins[k].append(cell)
    rows = []
    for k, game in enumerate(games):
        won = bool(values[k] > 0)
        if won != bool(wins[k]):
            continue
        mover = BLUE + len(game) % 2
        winner = mover if won else BLUE + RED - mover
        moves, winning = (
            " ".join(cell_name(cell, n) for cell in cells) for cells in (game, sorted(wins[k]))
        )
        rows.append((n, moves, COLOUR_NAME[mover], COLOUR_NAME[winner], winning))
    return pd.DataFrame(rows, columns=list(COLUMNS))


if __name__ == "__main__":
    main()
