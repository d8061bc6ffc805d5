"""Random games to the end, the winner checked at every move: hexlib, OpenSpiel and pgx."""

from collections.abc import Callable
from functools import partial

import common
import numpy as np
import peers
from numba import njit

from hexlib.game import board

SIZES = (11, 13)
MUST = {11: 450_000, 13: 290_000}
NOTES = """\
All loops are compiled: hexlib's by numba, OpenSpiel's in C++ (one simulation of its MCTS bot whose
evaluator does all rollouts), pgx's by XLA for 1,024 games in step. Each draws a move uniformly
among the empty cells, plays it, and looks whether it has won. "Moves alone" is a bound: the same
random permutations as far as the games went, and no board."""


@njit
def _draw_moves(lengths, area, moves):
    """As `board.random_games` draws them, without a board."""
    state = np.uint64(0x9E3779B97F4A7C15)
    for game in range(len(lengths)):
        order = moves[game]
        for i in range(area):
            order[i] = i
        for k in range(lengths[game]):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            pick = k + np.int64(((state >> np.uint64(32)) * np.uint64(area - k)) >> np.uint64(32))
            order[k], order[pick] = order[pick], order[k]


def contestants(n: int, quick: bool) -> dict[str, Callable[[], int] | None]:
    """What plays some games on an n×n board and returns how many; None if it is not installed."""
    count = 1000
    moves = np.empty((count, n * n), np.int16)
    lengths, winners = np.empty(count, np.int32), np.empty(count, np.int8)
    seeds = iter(range(1, 1 << 62))

    def hexlib() -> int:
        seed = next(seeds)
        board.random_games(n, count, seed, *board.geometry(n), moves, lengths, winners)
        return count

    def alone() -> int:
        _draw_moves(lengths, n * n, moves)
        return count

    return {
        "hexlib": hexlib,
        "OpenSpiel, C++": peers.installed(peers.openspiel_random_games, n, 10 if quick else 1000),
        "pgx, XLA": peers.installed(peers.pgx_random_games, n, 16 if quick else 1024),
        "moves alone": alone,
    }


def main() -> None:
    """Measure, print, write."""
    arguments = common.start(__doc__ or "").parse_args()
    rounds, seconds = (1, 0.05) if arguments.quick else (5, 1.0)
    rows = []
    for n in SIZES:
        steps = contestants(n, arguments.quick)
        present = {name: step for name, step in steps.items() if step}
        for step in present.values():
            step()  # compiles
        rates = common.interleaved(
            {name: partial(common.rate, step, seconds) for name, step in present.items()}, rounds
        )
        for name in steps:
            measured = rates.get(name)
            rows.append(
                [
                    f"{n}×{n}",
                    name,
                    common.MISSING if measured is None else common.number(measured),
                    common.ratio(rates["hexlib"], measured),
                    f"{MUST[n]:,}" if name == "hexlib" else "–",
                ]
            )
    header = ["board", "player", "games/s", "hexlib ÷ it", "aim"]
    parts = [common.table(header, rows), NOTES]
    common.publish("board", "Random games", parts, arguments.write)


if __name__ == "__main__":
    main()
