"""Games as arrays, and the search statistics that travel with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hexlib import files


@dataclass(frozen=True)
class Games:
    """G finished games of one board size."""

    board_size: int
    moves: np.ndarray  # int16 [M], cells of all games one after the other
    offsets: np.ndarray  # int64 [G + 1], game g has moves[offsets[g] : offsets[g + 1]]
    winners: np.ndarray  # int8 [G], board.BLUE or board.RED

    def __len__(self) -> int:
        return len(self.winners)

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        for g, winner in enumerate(self.winners):
            yield self.moves[self.offsets[g] : self.offsets[g + 1]], int(winner)


@dataclass(frozen=True)
class SearchStatistics:
    """What the search found at each of the M moves of some games, in the order of the games.

    The policy is sparse and in board cells as played (not turned); a move without a recorded
    policy (a random opening stone, say) has no entries and a root value of NaN.
    """

    root_value: np.ndarray  # float16 [M], −1 to 1 for the player to move
    policy_count: np.ndarray  # uint8 [M], entries of each move
    policy_cell: np.ndarray  # uint16 [K], K the sum of policy_count
    policy_probability: np.ndarray  # float16 [K]


def write_search(path: Path | str, search: SearchStatistics, meta: dict[str, Any]) -> None:
    """Write the `.search.npz` that lies beside a `.trmph`."""
    files.write_npz(path, vars(search), {"kind": "search", **meta})


def read_search(path: Path | str) -> tuple[SearchStatistics, dict[str, Any]]:
    """Read a `.search.npz` and its meta."""
    arrays, meta = files.read_npz(path, "search")
    return SearchStatistics(**arrays), meta
