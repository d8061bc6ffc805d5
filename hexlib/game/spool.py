"""Games on their way to their chunks: raw arrays on disk, appended to and then cut up."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hexlib import files, npz
from hexlib.game.positions import offsets_of
from hexlib.game.records import SEARCH_DTYPES, Games, SearchStatistics, write_games
from hexlib.sources import search_path

_GAMES, _VALUES = 4096, 1 << 20  # written at a time


class Spool:
    """Games appended to files in `folder`/.spool, which is removed at the end.

    With `recorded` each game has search statistics; those of a game that comes without any say
    that the played moves are the policy.
    """

    def __init__(self, folder: Path, board_size: int, recorded: bool):
        self.games = 0
        self._folder = folder / ".spool"
        shutil.rmtree(self._folder, ignore_errors=True)  # of a run that was killed
        self._folder.mkdir(parents=True)
        self._board_size = board_size
        self._recorded = recorded
        self._dtypes: dict[str, Any] = {"moves": np.int16, **(SEARCH_DTYPES if recorded else {})}
        self._handles = {
            name: (self._folder / name).open("wb", buffering=0) for name in self._dtypes
        }
        self._lengths: list[np.ndarray] = []
        self._entries: list[np.ndarray] = []
        self._winners: list[np.ndarray] = []

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for handle in self._handles.values():
            handle.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def append(self, games: Games, search: SearchStatistics | None) -> None:
        """Add games, and the statistics of their moves where there are any."""
        self.games += len(games)
        self._lengths.append(np.diff(games.offsets).astype(np.int32))
        self._winners.append(games.winners)
        self._write("moves", games.moves)
        if self._recorded:
            search = search or _as_played(games)
            ends = offsets_of(search.policy_count)
            self._entries.append(np.diff(ends[games.offsets]).astype(np.int32))
            for name in SEARCH_DTYPES:
                self._write(name, getattr(search, name))

    def _write(self, name: str, values: np.ndarray) -> None:
        files.write_all(self._handles[name], np.ascontiguousarray(values).view(np.uint8).data)

    def lengths(self) -> np.ndarray:
        """Moves of each game, int32 [G]."""
        return np.concatenate(self._lengths) if self._lengths else np.zeros(0, np.int32)

    def winners(self) -> np.ndarray:
        """Winner of each game, int8 [G]."""
        return np.concatenate(self._winners) if self._winners else np.zeros(0, np.int8)

    def cut(self) -> "Cutter":
        """What writes games of the finished spool."""
        entries = (
            np.concatenate(self._entries) if self._recorded else np.zeros(self.games, np.int32)
        )
        return Cutter(
            self._board_size,
            self._folder,
            self._recorded,
            self.winners(),
            offsets_of(self.lengths()),
            offsets_of(entries),
        )


class Cutter:
    """Writes runs of consecutive games from a spool."""

    def __init__(
        self,
        board_size: int,
        folder: Path,
        recorded: bool,
        winners: np.ndarray,
        moves: np.ndarray,
        entries: np.ndarray,
    ):
        self._board_size = board_size
        self._folder = folder
        self._recorded = recorded
        self._winners = winners  # int8 [G]
        self._moves = moves  # int64 [G + 1], where the moves of a game start
        self._entries = entries  # int64 [G + 1], where its policy entries start

    def write(self, path: Path, first: int, last: int, meta: dict[str, Any]) -> None:
        """Write games `first` to `last` (excluded) as `path` and the `.search.npz` beside it."""
        meta = {"board_size": self._board_size, **meta}
        parts = (
            self._games(start, min(start + _GAMES, last)) for start in range(first, last, _GAMES)
        )
        write_games(path, parts, {"kind": "games", **meta})
        self._write_search(search_path(path), first, last, meta)

    def _games(self, first: int, last: int) -> Games:
        start, end = self._moves[first], self._moves[last]
        moves = self._read("moves", np.int16, start, end)
        offsets = self._moves[first : last + 1] - start
        return Games(self._board_size, moves, offsets, self._winners[first:last])

    def _write_search(self, path: Path, first: int, last: int, meta: dict[str, Any]) -> None:
        spans = {name: self._span(name, first, last) for name in SEARCH_DTYPES}
        layout = {
            name: (SEARCH_DTYPES[name], (end - start,)) for name, (start, end) in spans.items()
        }
        with files.atomic(path) as handle:
            writer = npz.Writer(handle, layout, {"kind": "search", **meta})
            for name, (start, end) in spans.items():
                for at in range(start, end, _VALUES):
                    stop = min(at + _VALUES, end)
                    writer.append(name, self._read(name, SEARCH_DTYPES[name], at, stop))
            writer.close()

    def _span(self, name: str, first: int, last: int) -> tuple[int, int]:
        """Where the values of games are in an array of the statistics; empty if none has any."""
        starts = self._moves if name in ("root_value", "policy_count") else self._entries
        return (int(starts[first]), int(starts[last])) if self._recorded else (0, 0)

    def _read(self, name: str, dtype: Any, first: int, last: int) -> np.ndarray:
        size = np.dtype(dtype).itemsize
        return np.fromfile(self._folder / name, dtype, last - first, offset=first * size)


def _as_played(games: Games) -> SearchStatistics:
    """Statistics that say nothing but that each move was played."""
    count = len(games.moves)
    return SearchStatistics(
        np.full(count, np.nan, np.float16),
        np.ones(count, np.uint8),
        games.moves.astype(np.uint16),
        np.ones(count, np.float16),
    )
