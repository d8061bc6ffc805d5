"""What a training draws from: the window over the run's generations, and sources beside it."""

import hashlib
import json
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hexlib import files, rng
from hexlib.errors import BadInput
from hexlib.game.positions import Positions, concatenate
from hexlib.nn.batches import Batch, make_batch
from hexlib.nn.buckets import Bucket, bucket_files, open_bucket
from hexlib.nn.loader import Part, Stream
from hexlib.settings import Source, Train, Window

VALIDATION_ROWS = 8192  # at most: more would not make the figures better than the next generation's


@dataclass(frozen=True)
class Data:
    """Everything that a training draws from."""

    board_size: int  # of the run
    new_rows: int  # of the newest generation
    made: int  # rows that the run has made so far
    parts: list[Part]  # the window's first, newest first
    sources: list[str]  # their names, by `Part.source`
    window: int  # how many of the sources are generations of the run

    def streams(self, seed: int, generation: int) -> list[Stream]:
        """One for each board size, the run's own first."""
        by_size: dict[int, list[Part]] = {self.board_size: []}
        for part in self.parts:
            by_size.setdefault(part.bucket.board_size, []).append(part)
        found = [parts for parts in by_size.values() if any(p.bucket.training for p in parts)]
        return [Stream(parts, seed, generation) for parts in found]

    def rows(self) -> np.ndarray:
        """Rows to train on of each source, int64 [S]."""
        rows = np.zeros(len(self.sources), np.int64)
        for part in self.parts:
            rows[part.source] += part.bucket.training
        return rows

    @cached_property
    def inputs(self) -> dict[str, str]:
        """The sha256 of each bucket of the window, named with its generation."""
        return {
            f"{self.sources[part.source]}/{part.bucket.path.name}": files.sha256(part.bucket.path)
            for part in self.parts
            if part.source < self.window
        }

    @cached_property
    def _digests_beside(self) -> dict[Path, str]:
        return {
            part.bucket.path: files.sha256(part.bucket.path)
            for part in self.parts
            if part.source >= self.window
        }

    def lineage(self, drawn: Sequence[int]) -> list[dict[str, Any]]:
        """What there was of each source, and how many samples were `drawn` of it."""
        lines: list[dict[str, Any]] = []
        for number, (name, rows) in enumerate(zip(self.sources, self.rows().tolist(), strict=True)):
            parts = [part for part in self.parts if part.source == number]
            line = {"name": name, "rows": rows, "files": len(parts), "drawn": int(drawn[number])}
            if number >= self.window:
                line |= {"weight": parts[0].weight, "board_size": parts[0].bucket.board_size}
                paths = [part.bucket.path for part in parts]
                line["inputs"] = {path.name: self._digests_beside[path] for path in paths}
            lines.append(line)
        return lines

    @property
    def rows_window(self) -> int:
        """Rows to train on in the window."""
        return int(self.rows()[: self.window].sum())

    def held_out(self) -> Positions | None:
        """Up to VALIDATION_ROWS held-out positions of the run's newest buckets; None for none."""
        found, left = [], VALIDATION_ROWS
        for part in self.parts:
            count = min(left, len(part.bucket.held_out)) if part.source < self.window else 0
            if count:
                found.append(part.bucket.read_held_out(count))
                left -= count
        return concatenate(found) if found else None

    def validation(self, batch_size: int, device: torch.device) -> list[Batch]:
        """The held-out positions as batches, not turned."""
        rows = self.held_out()
        if rows is None:
            return []
        cuts = [
            rows.cut(start, min(start + batch_size, len(rows)))
            for start in range(0, len(rows), batch_size)
        ]
        return [make_batch(cut, np.zeros(len(cut), bool), device) for cut in cuts]


def window_rows(window: Window, made: int) -> int:
    """Rows to train on when `made` rows have been made in the run (`Window` gives the law)."""
    c, alpha, beta = window.rows, window.exponent, window.growth
    if made <= c:
        return made
    return int(c * (1 + beta * ((made / c) ** alpha - 1) / alpha))


def open_data(
    folders: Sequence[Path],
    settings: Train,
    window: Window,
    made_before: int,
    aside: Container[Path] = (),
) -> Data:
    """Open the window over `folders` of buckets, oldest first, and `settings.sources`.

    The window has the newest whole buckets, newest first, that together have the rows it wants;
    older folders are not opened, and files in `aside` are passed over. Who wins is sound in old
    games too; what to play is not, so that only the newest generations' policies are learned.
    Raises BadInput where there is no bucket, or one of another board size than is wanted, and
    Damaged for one that is not whole.
    """
    fraction = settings.validation_fraction
    new = {path: open_bucket(path, fraction) for path in bucket_files(folders[-1], aside)}
    size = next(iter(new.values())).board_size
    new_rows = sum(bucket.training for bucket in new.values())
    wanted, rows = window_rows(window, made_before + new_rows), 0
    parts: list[Part] = []
    names: list[str] = []
    for age, folder in enumerate(reversed(folders)):
        if rows >= wanted:
            break
        weight = window.older_weight if age else 1.0
        # results/RUN/gen_003/shuffle
        names.append(folder.resolve().parent.name)
        for path in bucket_files(folder, aside):
            if rows < wanted:
                bucket = new.get(path) or open_bucket(path, fraction)
                _check_size(bucket, size, "leave it out, or name it in train.sources")
                parts.append(Part(bucket, weight, age, age < window.policy_generations))
                rows += bucket.training
    if rows == 0:
        raise BadInput(
            f"{folders[-1]}: no position to train on; make more games, or lower"
            " train.validation_fraction"
        )
    own = len(names)
    for source in settings.sources:
        names.append(source.path if not Path(source.path).is_absolute() else Path(source.path).name)
        parts += [
            Part(bucket, source.weight, len(names) - 1)
            for bucket in open_source(source, size, fraction, aside)
        ]
    return Data(size, new_rows, made_before + new_rows, parts, names, own)


def open_source(
    source: Source, board_size: int, validation_fraction: float, aside: Container[Path] = ()
) -> list[Bucket]:
    """The buckets of a source but for those set aside.

    `board_size` is the run's, which it has unless it says another.
    """
    paths = bucket_files(Path(source.path))[source.skip_files :]
    paths = [path for path in paths[: source.max_files or None] if path not in aside]
    if not paths:
        raise BadInput(
            f"{source.path}: train.sources: skip_files {source.skip_files} and max_files"
            f" {source.max_files} leave no whole file of it; lower skip_files"
        )
    buckets = [open_bucket(path, validation_fraction) for path in paths]
    for bucket in buckets:
        remedy = f"to train on both, set board_size: {bucket.board_size} in train.sources"
        _check_size(bucket, source.board_size or board_size, remedy)
    return buckets


def _check_size(bucket: Bucket, wanted: int, remedy: str) -> None:
    found = bucket.board_size
    if found != wanted:
        raise BadInput(
            f"{bucket.path}: positions of a {found}×{found} board, where {wanted}×{wanted} is"
            f" wanted; {remedy}"
        )


def choose_streams(streams: Sequence[Stream], steps: int, seed: int, generation: int) -> np.ndarray:
    """Which stream each step draws from, uint8 [steps], at random by the rows in their passes."""
    if len(streams) == 1:
        return np.zeros(steps, np.uint8)
    rows = np.array([stream.rows for stream in streams])
    random = rng.generator("streams", seed, generation)
    return random.choice(len(streams), steps, p=rows / rows.sum()).astype(np.uint8)


def digest(data: Data) -> str:
    """Digest (16 hex digits) of the buckets that are drawn from, and how."""
    drawn = [[part.bucket.digest, part.weight, part.source, part.policy] for part in data.parts]
    return hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16]
