"""Finished games on disk before the product is: append-only, and readable after any kill."""

import fcntl
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hexlib import files
from hexlib.errors import BadInput

_FRAME = struct.Struct("<II")  # length of the payload, its CRC-32
_HEAD = struct.Struct("<IHBI")  # game, moves, winner, policy entries
_SYNC_SECONDS = 5.0


class PlayedGame(NamedTuple):
    """A finished game with what the search found at each of its N moves."""

    game: int  # its number in the generation
    winner: int
    moves: np.ndarray  # int16 [N]
    root_value: np.ndarray  # float16 [N]
    policy_count: np.ndarray  # uint8 [N]
    policy_cell: np.ndarray  # uint16 [K]
    policy_probability: np.ndarray  # float16 [K]


_ARRAYS = (
    ("moves", np.dtype("<i2")),
    ("root_value", np.dtype("<f2")),
    ("policy_count", np.dtype("u1")),
    ("policy_cell", np.dtype("<u2")),
    ("policy_probability", np.dtype("<f2")),
)


def _encode(game: PlayedGame) -> bytes:
    head = _HEAD.pack(game.game, len(game.moves), game.winner, len(game.policy_cell))
    arrays = (getattr(game, name).astype(dtype, copy=False).tobytes() for name, dtype in _ARRAYS)
    return head + b"".join(arrays)


def _decode(payload: bytes) -> PlayedGame:
    game, moves, winner, entries = _HEAD.unpack_from(payload)
    position, arrays = _HEAD.size, {}
    for name, dtype in _ARRAYS:
        count = entries if name.startswith("policy_") and name != "policy_count" else moves
        arrays[name] = np.frombuffer(payload, dtype, count, position)
        position += count * dtype.itemsize
    return PlayedGame(game=game, winner=winner, **arrays)


def _is_game(payload: bytes) -> bool:
    """Whether a frame is as long as a game is that starts like it."""
    if len(payload) < _HEAD.size:
        return False
    _, moves, _, entries = _HEAD.unpack_from(payload)
    sizes = (
        (entries if name in ("policy_cell", "policy_probability") else moves) * dtype.itemsize
        for name, dtype in _ARRAYS
    )
    return len(payload) == _HEAD.size + sum(sizes)


class Journal:
    """An open journal; holding it locks it against a second writer, an orphan for instance."""

    def __init__(self, path: Path, identity: dict[str, Any]):
        """Open or create; a journal of another `identity` (settings, checkpoint) is emptied.

        Raises BadInput if another process is writing it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # Without a buffer: one that a full disk left filled would fail again when the file closes.
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise BadInput(
                f"{path}: another process is writing these games; wait for it, or end it"
                f" (fuser {path} tells which it is)"
            ) from None
        self._synced = time.monotonic()
        document = json.dumps(identity, sort_keys=True).encode()
        self.foreign = False
        self.games: list[PlayedGame] = []
        frames = self._frames()
        found = next(frames, None)
        if found is not None and found != document:
            self.foreign = True
            self._check_device(found, identity.get("device"))
        if found != document:
            self._file.truncate(0)
            self._append(document)
        else:
            self.games = [_decode(payload) for payload in frames]

    def _check_device(self, found: bytes, now: Any) -> None:
        """Raise if the games were made on another device: one that is gone may come back."""
        try:
            before = json.loads(found).get("device")
        except (ValueError, AttributeError):  # no identity: the file's start is lost
            return
        if before != now:
            raise BadInput(
                f"{self.path}: its games were made on {before!r}, and this is {now!r}; bring that"
                " device back (inference.device in the settings) to go on, or remove the file to"
                " play all games anew"
            )

    def _frames(self) -> Iterator[bytes]:
        """The whole frames, of an identity and games; from what is neither on, all is cut away."""
        self._file.seek(0)
        whole = 0
        while True:
            frame = self._file.read(_FRAME.size)
            if len(frame) < _FRAME.size:
                break
            length, crc = _FRAME.unpack(frame)
            payload = self._file.read(length)
            if len(payload) < length or zlib.crc32(payload) != crc:
                break
            if whole and not _is_game(payload):
                break
            whole = self._file.tell()
            yield payload
        self._file.truncate(whole)

    def _append(self, payload: bytes) -> None:
        frame = _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        files.write_all(self._file, memoryview(frame))

    def add(self, game: PlayedGame) -> None:
        """Append a game: it outlives the process at once, and a power loss a few seconds later."""
        self._append(_encode(game))
        self.games.append(game)
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        """Sync and unlock."""
        os.fsync(self._file.fileno())
        self._file.close()
