"""A checkpoint with a search: what it would play, how it sees a position, what it expects."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hexlib import files
from hexlib.nn.cache import CachedEvaluator
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.play.standing import Standing, standing_after
from hexlib.search.gumbel import GumbelSearch
from hexlib.search.interface import Positions, search_all
from hexlib.search.policy import PolicySearch
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


class Player:
    """Loads a checkpoint once and searches positions of any board size; deterministic."""

    def __init__(self, checkpoint: Path, inference: Inference):
        """Raises BadInput for a file that is no checkpoint, or a device that is not there."""
        loaded = load_checkpoint(checkpoint)
        self.network = loaded.network
        self.board_sizes = loaded.board_sizes  # that it was trained on, the last one last
        self.digest = files.sha256(checkpoint)
        self.device = choose(inference)
        self._evaluators: dict[int, CachedEvaluator] = {}

    def think(self, standings: Sequence[Standing], simulations: int) -> list[Thought]:
        """A thought for each of some unfinished positions of one board size.

        `simulations` a position; 0 asks the network alone.
        """
        if not standings:
            return []
        n = standings[0].size
        positions = Positions(
            *(np.concatenate(part) for part in zip(*(s.position for s in standings), strict=True))
        )
        keys = np.zeros(len(standings), np.uint64)  # nothing is random
        evaluator = self._evaluator(n)
        if simulations == 0:
            found = search_all(PolicySearch(len(standings), n), evaluator, positions, keys)
            return [
                Thought(int(move), float(value), policy, [int(move)])
                for move, value, policy in zip(found.move, found.value, found.policy, strict=True)
            ]
        slots = max(1, min(len(standings), AT_ONCE, NODES // (simulations + 1)))
        search = GumbelSearch(slots, n, simulations, noise_scale=0)
        thoughts = []
        for start in range(0, len(standings), slots):
            part = Positions(*(field[start : start + slots] for field in positions))
            # As many positions as slots, so that slot k still holds the tree of position k.
            found = search_all(search, evaluator, part, keys[: len(part.colours)])
            for k, move in enumerate(found.move):
                policy = found.policy[k]
                if not policy.any():  # a lost position, in which all moves are alike
                    policy = np.eye(1, n * n, move, dtype=np.float32)[0]
                thoughts.append(Thought(int(move), search.value_of_move(k), policy, search.line(k)))
        return self._look_beyond_forced(standings, thoughts, simulations)

    def _look_beyond_forced(
        self, standings: Sequence[Standing], thoughts: list[Thought], simulations: int
    ) -> list[Thought]:
        """Give forced moves, which are not searched, the value of the position after them."""
        forced = [k for k, thought in enumerate(thoughts) if np.isnan(thought.value)]
        after = [
            standing_after(standings[k].size, (*standings[k].moves, thoughts[k].move))
            for k in forced
        ]
        for k, beyond in zip(forced, self.think(after, simulations), strict=True):
            here = thoughts[k]
            line = [here.move, *beyond.line]
            thoughts[k] = Thought(here.move, -beyond.value, here.policy, line)
        return thoughts

    def _evaluator(self, n: int) -> CachedEvaluator:
        """The network for boards of size n, made ready at the first use."""
        if n not in self._evaluators:
            self._evaluators[n] = CachedEvaluator(Evaluator(self.network, n, self.device), CACHE)
        return self._evaluators[n]
