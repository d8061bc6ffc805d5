"""Games as the viewer of a page shows them: moves, and what was thought at each of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hexlib.game.board import BLUE
from hexlib.game.chain import winning_chain

SHOWN = 40  # moves of a policy at most, so that a page of large boards stays small
LEAST = 0.005  # probability from which a move is shown


@dataclass
class Ply:
    """What was thought before a move; None and empty where nothing is known."""

    value: float | None = None  # −1 to 1, for blue
    policy: list[tuple[int, float]] = field(default_factory=list)  # cell, probability
    best: int | None = None  # the cell that should have been played
    line: list[int] = field(default_factory=list)  # the moves expected from here on
    values: list[tuple[int, float]] = field(default_factory=list)  # cell, chance of who moves
    note: str = ""  # what is to be said of the move that was made here
    mark: str = ""  # `blunder` or `doubtful` where that move was one


@dataclass
class ShownGame:
    """A game of the viewer. A second move equal to the first is a swap."""

    title: str
    source: str  # where the game comes from
    size: int
    moves: list[int]  # cells
    winner: int  # 1 blue, 2 red, 0 where it has not ended
    plies: list[Ply]  # one for each position from the empty board to the last

    @property
    def data(self) -> dict[str, Any]:
        """As the script takes it."""
        stones = stones_after(self.moves, self.size)
        return {
            "title": self.title,
            "source": self.source,
            "size": self.size,
            "moves": self.moves,
            "winner": self.winner,
            "chain": winning_chain(stones, self.size, self.winner) if self.winner else [],
            "plies": [
                {
                    "value": None if ply.value is None else round(ply.value, 3),
                    "policy": [[cell, round(share, 3)] for cell, share in ply.policy],
                    "values": [[cell, round(chance, 3)] for cell, chance in ply.values],
                    "best": ply.best,
                    "line": ply.line,
                    "note": ply.note,
                    "mark": ply.mark,
                }
                for ply in self.plies
            ],
        }


def stones_after(moves: Sequence[int], n: int) -> list[int]:
    """The stones after some moves, blue first: 0, 1 blue or 2 red for each of n·n cells.

    After a swap the first stone is red and blue moves next.
    """
    stones = [0] * (n * n)
    for ply, move in enumerate(moves):
        stones[move] = BLUE + ply % 2
    return stones


def shown_policy(cells: np.ndarray, probabilities: np.ndarray) -> list[tuple[int, float]]:
    """The likeliest moves, likeliest first: cells [K] and probabilities [K] as pairs."""
    order = np.argsort(-probabilities, kind="stable")[:SHOWN]
    return [(int(cells[k]), float(probabilities[k])) for k in order if probabilities[k] >= LEAST]


def shown_values(values: np.ndarray) -> list[tuple[int, float]]:
    """The moves that were tried as pairs of a cell and a chance to win of 0 to 1, best first.

    `values` [A] are those of each move for the player who makes it, −1 to 1, NaN where it was not
    tried.
    """
    order = np.argsort(-values, kind="stable")[:SHOWN]  # NaN comes last
    known = [int(cell) for cell in order if np.isfinite(values[cell])]
    return [(cell, (1 + float(values[cell])) / 2) for cell in known]
