"""Who can play in a match: checkpoints, fixed anchors, and engines of others (`engines`)."""

import re
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from hexlib import files
from hexlib.errors import BadInput
from hexlib.nn.cache import CachedEvaluator
from hexlib.nn.checkpoint import Checkpoint, load_checkpoint
from hexlib.nn.device import Device
from hexlib.nn.inference import Evaluator
from hexlib.search.blind import BlindSearch
from hexlib.search.gumbel import player_search
from hexlib.search.interface import Evaluate, Positions, Search, positions_after, search_all
from hexlib.search.policy import PolicySearch
from hexlib.search.rollouts import RolloutSearch

# Positions: both games of a pair have much in common, and so have openings and their 180° turns.
CACHE_SIZE = 60_000
FEW = 8  # positions at a time that are quicker one by one than as a batch that is hardly filled

# Players that never change, so that their Elo means the same in every run.
ANCHORS = ("random", "one-ply", "rollouts:2000")
ANCHOR = re.compile(r"random|one-ply|rollouts:([1-9]\d{0,5})")


class Turn(NamedTuple):
    """K games in which a side is to move."""

    games: np.ndarray  # int64 [K], their numbers
    moves: list[list[int]]  # of each game so far
    positions: Positions  # [K]
    keys: np.ndarray  # uint64 [K], for what is random


class Side(Protocol):
    """One side of a match."""

    name: str
    sha256: str | None
    simulations: int | None
    at_once: int | None  # games that it can play at the same time; None: any number

    def choose(self, turn: Turn) -> list[int | str]:
        """A cell for each game, or in words why the side cannot go on, which loses the game."""

    def close(self, games: list[int]) -> None:
        """These games are over."""

    def blue_value(self, games: list[list[int]]) -> np.ndarray | None:
        """Value for blue, to move after the moves of each game, float [K]; None: it cannot say."""


class SearchSide:
    """A search of ours, with or without a network."""

    at_once: int | None = None

    def __init__(
        self,
        name: str,
        search: Search,
        evaluate: Evaluate | None = None,
        sha256: str | None = None,
        simulations: int | None = None,
    ):
        self.name, self.sha256, self.simulations = name, sha256, simulations
        self._search, self._evaluate = search, evaluate

    def choose(self, turn: Turn) -> list[int | str]:
        """See `Side`."""
        found = search_all(self._search, self._ask, turn.positions, turn.keys)
        return found.move.tolist()

    def _ask(self, boards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert self._evaluate is not None
        return self._evaluate(boards)

    def close(self, games: list[int]) -> None:
        """See `Side`: nothing is kept of a game."""

    def blue_value(self, games: list[list[int]]) -> np.ndarray | None:
        """See `Side`: the network's own value."""
        if self._evaluate is None:
            return None
        search = PolicySearch(self._search.slots, self._search.board_size)
        positions = positions_after(self._search.board_size, games)
        return search_all(search, self._ask, positions, np.zeros(len(games), np.uint64)).value


def network_side(
    name: str,
    evaluate: Evaluate,
    board_size: int,
    simulations: int,
    slots: int,
    sha256: str | None = None,
) -> SearchSide:
    """The side of a network: without noise, so that a game is a function of its opening.

    With 0 simulations it plays the move that its policy prefers. `slots`: positions searched at a
    time.
    """
    search: Search = PolicySearch(slots, board_size)
    if simulations:
        search = player_search(slots, board_size, simulations)
    return SearchSide(name, search, evaluate, sha256, simulations)


def checkpoint_name(path: Path, checkpoint: Checkpoint) -> str:
    """`gen_003` for gen_003/train/checkpoint.pt and for a champion.pt that is it, else the stem."""
    if path.name == "checkpoint.pt":
        return path.resolve().parent.parent.name
    if path.name == "champion.pt":
        generation = checkpoint.lineage.get("generation")
        return "initial" if generation is None else f"gen_{generation:03d}"
    return path.stem


def checkpoint_side(
    checkpoint: Path, board_size: int, simulations: int, slots: int, device: Device
) -> SearchSide:
    """The side of a checkpoint."""
    loaded, few = load_checkpoint(checkpoint), slots <= FEW
    evaluator = Evaluator(loaded.network, board_size, device, 1 if few else None)
    return network_side(
        checkpoint_name(checkpoint, loaded),
        CachedEvaluator(evaluator, CACHE_SIZE),
        board_size,
        simulations,
        slots,
        files.sha256(checkpoint),
    )


def anchor_side(name: str, board_size: int, slots: int) -> SearchSide:
    """The side of an anchor: `random`, `one-ply` (sees wins and threats) or `rollouts:N` (UCT)."""
    known = ANCHOR.fullmatch(name)
    if known is None:
        raise BadInput(f"{name}: no player; known are {', '.join(ANCHORS)} with any number")
    if known[1]:
        count = int(known[1])
        search: Search = RolloutSearch(slots, board_size, count)
        return SearchSide(name, search, simulations=count)
    return SearchSide(name, BlindSearch(slots, board_size, looks=name == "one-ply"))


def described(side: Side) -> dict[str, Any]:
    """What the result of a match says of a side."""
    return {"name": side.name, "sha256": side.sha256, "simulations": side.simulations}
