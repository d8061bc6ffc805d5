"""A checkpoint with a search: what it would play, how it sees a position, what it expects."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hexlib import files
from hexlib.game.board import BLUE, RED, geometry, place
from hexlib.nn.cache import CachedEvaluator
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.search.gumbel import player_search
from hexlib.search.interface import Evaluate, Positions, positions_after, search_all
from hexlib.search.policy import PolicySearch
from hexlib.search.standing import Standing
from hexlib.settings import Inference

NODES = 1 << 16  # of the search trees at one time, which bounds the memory
AT_ONCE = 64  # positions at most that are searched side by side
CACHE = 20_000  # evaluated positions remembered for each board size


@dataclass(frozen=True)
class Thought:
    """What the player thinks of one position."""

    move: int  # the cell that it would play
    value: float  # −1 to 1, for the player to move, of that move
    policy: np.ndarray  # float32 [A], probabilities of the moves after the search
    line: list[int]  # the moves that it expects, its own first
    visits: np.ndarray  # int32 [A], simulations of each move
    values: np.ndarray  # float32 [A], −1 to 1 of each move, NaN where it was not tried


class Thinker:
    """Searches positions of any board size; deterministic."""

    def __init__(self, evaluator_for: Callable[[int], Evaluate]):
        """`evaluator_for` gives the network for a board size, and is asked once for each."""
        self._evaluator = functools.cache(evaluator_for)

    def think(self, standings: Sequence[Standing], simulations: int) -> list[Thought]:
        """A thought for each of some unfinished positions of one board size.

        `simulations` a position; 0 asks the network alone.
        """
        if not standings:
            return []
        parts = zip(*(standing.position for standing in standings), strict=True)
        return self.think_of(Positions(*map(np.concatenate, parts)), simulations)

    def think_of(self, positions: Positions, simulations: int) -> list[Thought]:
        """The same for positions [K], whose stones may be of any number of either colour."""
        count, area = len(positions.colours), positions.cells.shape[1] - 1
        n = math.isqrt(area)
        keys = np.zeros(count, np.uint64)  # nothing is random
        evaluator = self._evaluator(n)
        if simulations == 0:
            found = search_all(PolicySearch(count, n), evaluator, positions, keys)
            return [
                Thought(int(move), float(value), policy, [int(move)], *_untried(area))
                for move, value, policy in zip(found.move, found.value, found.policy, strict=True)
            ]
        slots = max(1, min(count, AT_ONCE, NODES // (simulations + 1)))
        search = player_search(slots, n, simulations)
        thoughts = []
        for start in range(0, count, slots):
            part = Positions(*(field[start : start + slots] for field in positions))
            # As many positions as slots, so that slot k still holds the tree of position k.
            found = search_all(search, evaluator, part, keys[: len(part.colours)])
            for k, move in enumerate(found.move):
                policy = found.policy[k]
                if not policy.any():  # a lost position, in which all moves are alike
                    policy = np.eye(1, area, move, dtype=np.float32)[0]
                value, line = search.value_of_move(k), search.line(k)
                thoughts.append(Thought(int(move), value, policy, line, *search.tried(k)))
        return self._look_beyond_forced(positions, thoughts, simulations)

    def even_opening(self, n: int) -> tuple[int, float]:
        """The first move whose value is nearest to even, for an opponent who may take it over.

        The value is that for who makes it, by the network alone.
        """
        firsts = positions_after(n, [[cell] for cell in range(n * n)])
        values = [-thought.value for thought in self.think_of(firsts, 0)]
        chosen = min(range(n * n), key=lambda cell: abs(values[cell]))
        return chosen, values[chosen]

    def _look_beyond_forced(
        self, positions: Positions, thoughts: list[Thought], simulations: int
    ) -> list[Thought]:
        """Give forced moves, which are not searched, the value of the position after them."""
        forced = [k for k, thought in enumerate(thoughts) if np.isnan(thought.value)]
        if not forced:
            return thoughts
        cells, chains, edges, colours = (field[forced] for field in positions)
        tables = geometry(math.isqrt(cells.shape[1] - 1))
        for k, number in enumerate(forced):
            place(cells[k], chains[k], edges[k], thoughts[number].move, colours[k], *tables)
        after = Positions(cells, chains, edges, (BLUE + RED - colours).astype(np.int8))
        for k, beyond in zip(forced, self.think_of(after, simulations), strict=True):
            here = thoughts[k]
            thoughts[k] = replace(here, value=-beyond.value, line=[here.move, *beyond.line])
        return thoughts


class Player(Thinker):
    """Loads a checkpoint once, and thinks by it."""

    def __init__(self, checkpoint: Path, inference: Inference, batch: int | None = None):
        """`batch`: positions in a call of the network; 1 is quick for who asks for one at a time.

        Raises BadInput for a file that is no checkpoint, or a device that is not there.
        """
        loaded = load_checkpoint(checkpoint)
        self.board_sizes = loaded.board_sizes  # that it was trained on, the last one last
        self.digest = files.sha256(checkpoint)
        device = choose(inference)
        super().__init__(
            lambda n: CachedEvaluator(Evaluator(loaded.network, n, device, batch), CACHE)
        )


def _untried(area: int) -> tuple[np.ndarray, np.ndarray]:
    """Visits and values where no move was tried."""
    return np.zeros(area, np.int32), np.full(area, np.nan, np.float32)
