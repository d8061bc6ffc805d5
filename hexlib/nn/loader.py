"""The order in which rows are drawn, and a thread that has the next batches ready.

Buckets are in random order already, so a training reads runs of rows (blocks) from all of them and
mixes these again, a chapter at a time: memory is that of two chapters, whatever the data are. What
is drawn is a function of the seed, the generation and the number of the sample, so that a training
can go on anywhere.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from hexlib import rng
from hexlib.game.positions import Positions, concatenate, open_positions
from hexlib.nn.batches import Batch, make_batch
from hexlib.nn.buckets import Bucket

BLOCK = 2048  # rows read in one go
CHAPTER = 1 << 17  # rows mixed in memory, about
AHEAD = 4  # batches made before they are asked for


class Part(NamedTuple):
    """A bucket to draw from."""

    bucket: Bucket
    weight: float  # how often a row of it is drawn in a pass
    source: int  # number of the source that it belongs to
    policy: bool = True  # whether its policy targets are learned


class Chapter(NamedTuple):
    """R rows in the order in which they are used."""

    positions: Positions
    turn: np.ndarray  # bool [R], to be shown turned by 180°
    source: np.ndarray  # uint16 [R]


class Block(NamedTuple):
    """Consecutive rows to train on of one bucket."""

    part: int
    first: int
    last: int


class Outline(NamedTuple):
    """What a chapter is made of."""

    number: int  # of its pass
    chapter: int  # within the pass
    blocks: list[Block]


class Stream:
    """The endless order of the rows of buckets of one board size.

    It is made of passes. Pass p draws, of a bucket with T rows to train on and weight w, its rows
    from ⌊p·w·T⌋ to ⌊(p+1)·w·T⌋, counted round and round: all rows of a bucket are drawn equally
    often, within one, and w times a pass. The blocks of a pass are in random order, consecutive
    ones make chapters, and the rows of a chapter are permuted.
    """

    def __init__(self, parts: Sequence[Part], seed: int, generation: int):
        self.parts = [part for part in parts if part.bucket.training and part.weight]
        if not self.parts:
            raise ValueError("no rows to draw from")
        self.board_size = self.parts[0].bucket.board_size
        self._identity = (seed, generation, self.board_size)

    @property
    def rows(self) -> float:
        """Rows in a pass, on average."""
        return sum(part.bucket.training * part.weight for part in self.parts)

    def _bounds(self, number: int) -> list[tuple[int, int]]:
        """From where to where, counted round and round, each bucket is drawn in a pass."""
        a_pass = [part.bucket.training * part.weight for part in self.parts]
        return [(int(number * rows), int((number + 1) * rows)) for rows in a_pass]

    def outline(self, number: int) -> list[Outline]:
        """The chapters of a pass."""
        blocks = []
        for k, (part, (first, end)) in enumerate(
            zip(self.parts, self._bounds(number), strict=True)
        ):
            while first < end:
                start = first % part.bucket.training
                length = min(BLOCK - start % BLOCK, part.bucket.training - start, end - first)
                blocks.append(Block(k, start, start + length))
                first += length
        order = rng.generator("blocks", *self._identity, number).permutation(len(blocks))
        chapters: list[Outline] = []
        rows = CHAPTER
        for k in order:
            if rows >= CHAPTER:
                chapters.append(Outline(number, len(chapters), []))
                rows = 0
            chapters[-1].blocks.append(blocks[k])
            rows += blocks[k].last - blocks[k].first
        return chapters

    def read(self, outline: Outline) -> Chapter:
        """Read the blocks of a chapter and mix their rows."""
        opened: dict[int, Positions] = {}
        parts = []
        for block in outline.blocks:
            part = self.parts[block.part]
            if block.part not in opened:
                whole = open_positions(part.bucket.path, verify=False)
                # Most bytes are policies: those that are not learned are not even read.
                opened[block.part] = whole if part.policy else whole.without_policy()
            parts.append(part.bucket.read(block.first, block.last, opened[block.part]))
        counts = [len(part) for part in parts]
        sources = np.array([self.parts[block.part].source for block in outline.blocks], np.uint16)
        identity = (*self._identity, outline.number, outline.chapter)
        order = rng.generator("rows", *identity).permutation(sum(counts))
        return Chapter(
            concatenate(parts).take(order),
            rng.generator("turns", *identity).random(len(order)) < 0.5,
            np.repeat(sources, counts)[order],
        )

    def chapters(self, start: int) -> Iterator[tuple[int, Outline]]:
        """All chapters from the one that holds sample `start`, each with the number of its rows
        that come before `start`."""
        number = 0
        while (rows := sum(end - first for first, end in self._bounds(number))) <= start:
            number, start = number + 1, start - rows
        while True:
            for outline in self.outline(number):
                rows = sum(block.last - block.first for block in outline.blocks)
                if start < rows:
                    yield start, outline
                start = max(0, start - rows)
            number += 1


class _Feed:
    """Hands out the rows of a stream in turn, with the next chapter being read meanwhile."""

    def __init__(self, stream: Stream, start: int, reading: ThreadPoolExecutor):
        self._stream, self._reading = stream, reading
        self._chapters = stream.chapters(start)
        self._submit()
        self._begin()

    def _submit(self) -> None:
        skipped, outline = next(self._chapters)
        self._following = skipped, self._reading.submit(self._stream.read, outline)

    def _begin(self) -> None:
        self._at, future = self._following
        self._chapter = future.result()
        self._submit()

    def take(self, count: int) -> Chapter:
        """The next `count` rows."""
        pieces = []
        while count:
            if self._at == len(self._chapter.positions):
                self._begin()
            end = min(self._at + count, len(self._chapter.positions))
            rows = slice(self._at, end)
            piece = self._chapter.positions.cut(self._at, end)
            pieces.append(Chapter(piece, self._chapter.turn[rows], self._chapter.source[rows]))
            count -= end - self._at
            self._at = end
        if len(pieces) == 1:
            return pieces[0]
        positions, turns, sources = zip(*pieces, strict=True)
        return Chapter(concatenate(positions), np.concatenate(turns), np.concatenate(sources))


class Loader:
    """The batches of steps `first` to the last, each of one board size, made in a thread.

    `choice` uint8 [steps] says from which stream each step draws. In a training of several
    processes each gets its own share, `share` of `shares`, of every batch.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        choice: np.ndarray,
        batch_size: int,
        device: torch.device,
        *,
        first: int = 0,
        share: int = 0,
        shares: int = 1,
    ):
        self.waited = 0.0  # seconds for which a batch was asked for and not ready
        self._streams, self._choice = streams, choice
        self._batch_size, self._device, self._first = batch_size, device, first
        self._rows = slice(share * batch_size // shares, (share + 1) * batch_size // shares)
        self._feeds: dict[int, _Feed] = {}

    def _make(self, step: int, reading: ThreadPoolExecutor) -> tuple[Batch, np.ndarray]:
        chosen = int(self._choice[step])
        if chosen not in self._feeds:
            before = int((self._choice[:step] == chosen).sum()) * self._batch_size
            self._feeds[chosen] = _Feed(self._streams[chosen], before, reading)
        positions, turn, source = self._feeds[chosen].take(self._batch_size)
        mine = positions.cut(self._rows.start, self._rows.stop)
        return make_batch(mine, turn[self._rows], self._device), source

    def __iter__(self) -> Iterator[tuple[Batch, np.ndarray]]:
        """Batches, each with the sources of its rows uint16 [batch size]."""
        making, reading = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        ahead: deque[Future[tuple[Batch, np.ndarray]]] = deque()
        try:
            for step in range(self._first, len(self._choice) + AHEAD):
                if step < len(self._choice):
                    ahead.append(making.submit(self._make, step, reading))
                if len(ahead) > AHEAD or step >= len(self._choice):
                    if not ahead:
                        return
                    asked = time.perf_counter()
                    made = ahead.popleft().result()
                    self.waited += time.perf_counter() - asked
                    yield made
        finally:
            for pool in (making, reading):
                pool.shutdown(wait=True, cancel_futures=True)
