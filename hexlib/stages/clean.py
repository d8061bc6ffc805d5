"""Clean: every record played through, duplicates found, the rest spread evenly over chunks.

One pass reads all inputs block by block and spools the games that are kept; the spool is then cut
into chunks. Memory holds a block, and about 40 bytes for each unique game.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from hexlib import files, logs, sources
from hexlib.errors import BadInput, Damaged
from hexlib.game import board, trmph
from hexlib.game.matched import OTHER_SIZE_REMEDY, read_matched, select_fitting
from hexlib.game.notation import COLOUR_NAME
from hexlib.game.records import (
    Block,
    SearchStatistics,
    game_hashes,
    read_search,
    replay,
    verify,
)
from hexlib.game.seen import DUPLICATE, KEPT, TWO_WINNERS, WRONG_WINNER, Seen
from hexlib.game.spool import Spool
from hexlib.settings import Clean, OnCorrupt
from hexlib.sources import search_path

MOST_CHUNKS = 9999  # their numbers have four digits
ILLEGAL = {
    board.OFF_BOARD: "move off the board",
    board.OCCUPIED: "move on an occupied cell",
    board.AFTER_END: "move after the end of the game",
    board.UNFINISHED: "game not finished",
}
FOREIGN_REMEDY = "take it away, or set on_corrupt: skip"
WINNER = {WRONG_WINNER: "wrong winner", TWO_WINNERS: "two winners for the same moves"}


@dataclass
class Counts:
    """What became of the records of one file."""

    name: str
    records: int = 0
    kept: int = 0
    duplicates: int = 0
    rejected: int = 0


@dataclass
class Tally:
    """What became of all the records so far."""

    on_corrupt: OnCorrupt
    files: list[Counts] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)  # by reason: the first record's place
    set_aside: list[dict[str, str]] = field(default_factory=list)  # name and reason of each file

    def total(self, what: str) -> int:
        """Sum over the files of one of their counts."""
        return sum(getattr(counts, what) for counts in self.files)

    def damaged(self, name: str, error: Damaged) -> None:
        """Count a file that is not whole, or raise the error where that is to stop the stage."""
        if self.on_corrupt == "stop":
            raise error
        logs.log.warning(f"clean: set aside: {error}")
        self.set_aside.append({"name": name, "reason": error.problem})


def run(
    inputs: Sequence[Path | str],
    output_dir: Path | str,
    board_size: int,
    settings: Clean,
    chunks: int | None = None,
    on_corrupt: OnCorrupt = "stop",
) -> dict[str, Any]:
    """Clean the games of `inputs` (files, or folders of any depth) into `output_dir`.

    Writes `chunk_{i:04d}.trmph` and `.search.npz` (empty arrays where no input has any), whose
    number is `chunks`, or what `settings.chunk_size` makes of the games; `rejected.tsv`; and
    `summary.json`, which it returns. Each chunk has a run of consecutive games, in the order of
    the inputs. The inputs are only ever read.

    Raises `BadInput` if an input is missing or has no valid game, `Damaged` if a file is not whole.
    With `on_corrupt` "skip" such a file is left out and listed in the summary under `set_aside`;
    of search statistics that are damaged or do not fit, the games are used alone.
    """
    board.check_size(board_size)
    folder = Path(output_dir)
    groups = _files_of(inputs, folder)
    paths = [path for group in groups for path in group]
    names = _names(paths)
    beside = [search_path(path) for path in paths if search_path(path).exists()]
    unchanged = files.Unchanged([*paths, *beside])
    seen = Seen(settings.merge_symmetric)
    whole = Tally(on_corrupt)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        Spool(folder, board_size, bool(beside)) as spool,
        files.atomic(folder / "rejected.tsv") as rejected,
    ):
        rejected.write(b"file\tline\treason\ttext\n")
        for given, group in zip(inputs, groups, strict=True):
            tally = Tally(on_corrupt)
            for path in group:
                _clean_file(path, names[path], board_size, seen, spool, tally, rejected)
            _check_group(given, group, tally, board_size)
            whole.files += tally.files
            whole.reasons += tally.reasons
            whole.set_aside += tally.set_aside
            whole.examples = tally.examples | whole.examples
        if not spool.games:
            raise BadInput(_nothing_valid(" ".join(map(str, inputs)), whole, board_size))
        wanted = chunks or -(-spool.games // settings.chunk_size)
        sha256 = {names[path]: files.sha256(path) for path in paths}
        sha256 |= {
            _beside(names[path]): files.sha256(search_path(path))
            for path in paths
            if search_path(path) in beside
        }
        unchanged.check()
        written = _write_chunks(folder, spool, wanted, sha256)
        lengths, winners = spool.lengths(), spool.winners()
    summary = {
        "kind": "clean",
        "schema": files.SCHEMA,
        "board_size": board_size,
        **{what: whole.total(what) for what in ("records", "kept", "duplicates", "rejected")},
        "reasons": dict(whole.reasons.most_common()),
        "moves": int(lengths.sum()),
        "mean_length": round(float(lengths.mean()), 3),
        "length_histogram": {str(n): int(c) for n, c in enumerate(np.bincount(lengths)) if c},
        "blue_wins": int(np.count_nonzero(winners == board.BLUE)),
        "files": [asdict(counts) for counts in whole.files],
        "set_aside": whole.set_aside,
        "chunks": written,
        "inputs": sha256,
    }
    if summary["kept"] != len(lengths) or whole.total("rejected") != whole.reasons.total():
        raise RuntimeError(f"the records of {folder} do not add up")
    files.write_json(folder / "summary.json", summary)
    return summary


def _files_of(inputs: Sequence[Path | str], output_dir: Path) -> list[list[Path]]:
    """The files of each input, none twice, and none that lies in the output folder."""
    groups, known = [], set()
    own = output_dir.resolve()
    for given in inputs:
        found = [path for path in sources.game_files([given]) if own not in path.resolve().parents]
        if not found:
            raise BadInput(f"{given}: has no games but those in the output folder; name another")
        group = [path for path in found if path.resolve() not in known]
        known |= {path.resolve() for path in group}
        groups.append(group)
    if not groups:
        raise BadInput("no input: name at least one file or folder of games")
    return groups


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """What products call the inputs: their paths without the folders that all have in common."""
    absolute = {path: Path(os.path.normpath(Path.cwd() / path)) for path in paths}
    common = Path(os.path.commonpath([path.parent for path in absolute.values()]))
    return {path: full.relative_to(common).as_posix() for path, full in absolute.items()}


def _beside(name: str) -> str:
    return search_path(name).as_posix()


def _clean_file(
    path: Path,
    name: str,
    board_size: int,
    seen: Seen,
    spool: Spool,
    tally: Tally,
    rejected: IO[bytes],
) -> None:
    """Give each record of a file its verdict; spool what is kept, list what is rejected."""
    try:
        verify(path)
    except Damaged as error:
        return tally.damaged(name, error)
    search = _statistics(path, name, board_size, tally)
    counts = Counts(name)
    foreign = True
    for block, part in read_matched(path, board_size, search):
        games = block.games
        status, ply, winners = replay(games)
        hashes = game_hashes(games, seen.merge_symmetric)
        verdict = seen.admit(hashes, status == board.LEGAL, winners == games.winners)
        kept = verdict == KEPT
        chosen, found = select_fitting(path, block, part, kept)
        spool.append(chosen, found)
        foreign &= bool((block.problems == trmph.NO_RECORD).all())
        counts.records += len(block)
        counts.kept += len(chosen)
        counts.duplicates += int(np.count_nonzero(verdict == DUPLICATE))
        for record, reason, detail in _rejections(block, verdict, status, ply, winners):
            counts.rejected += 1
            tally.reasons[reason] += 1
            line = block.lines[record]
            if reason not in tally.examples:
                tally.examples[reason] = f"{reason}{detail}, first at {path}:{line}"
            text = block.text(record)
            rejected.write(f"{name}\t{line}\t{reason}{detail}\t{text}\n".encode())
    if counts.records != counts.kept + counts.duplicates + counts.rejected:
        raise RuntimeError(f"{path}: {counts} does not add up")
    tally.files.append(counts)
    if foreign and counts.records:
        found_instead = f"none of its {counts.records} lines is a record"
        tally.damaged(name, Damaged(path, found_instead, FOREIGN_REMEDY))
    return None


def _statistics(path: Path, name: str, board_size: int, tally: Tally) -> SearchStatistics | None:
    """The search statistics beside a file of games; None if there are none, or they are set aside.

    Where damage does not stop the stage they are first held against all games, since a part of
    what has been kept cannot be taken back.
    """
    beside = search_path(path)
    if not beside.exists():
        return None
    try:
        search, _ = read_search(beside)
        if not len(search.root_value):
            return None
        if tally.on_corrupt == "skip":
            for block, part in read_matched(path, board_size, search):
                legal = replay(block.games)[0] == board.LEGAL
                select_fitting(path, block, part, legal)
        return search
    except Damaged as error:
        tally.damaged(_beside(name), error)
        return None


def _rejections(
    block: Block, verdict: np.ndarray, status: np.ndarray, ply: np.ndarray, winners: np.ndarray
) -> Iterator[tuple[int, str, str]]:
    """(record, reason, detail) of each record of a block that is neither kept nor a duplicate.

    The arrays [G] are what `Seen.admit` and `replay` say of the games of the block.
    """
    read = block.problems == trmph.WHOLE
    rejected = ~read
    rejected[read] = verdict > DUPLICATE
    game_of = np.cumsum(read) - 1
    for record in np.flatnonzero(rejected).tolist():
        game, at, problem = game_of[record], block.at[record], int(block.problems[record])
        if problem == trmph.OTHER_SIZE:
            yield record, block.reason(record), f" ({at}×{at})"
        elif problem in (trmph.UNREADABLE, trmph.OFF_BOARD):
            yield record, block.reason(record), f" (move {at})"
        elif problem != trmph.WHOLE:
            yield record, block.reason(record), ""
        elif verdict[game] in WINNER:
            yield record, WINNER[verdict[game]], f" ({COLOUR_NAME[winners[game]]} won)"
        elif status[game] == board.UNFINISHED:
            yield record, ILLEGAL[board.UNFINISHED], ""
        else:
            move = ply[game] + 1 + block.swapped[game]
            yield record, ILLEGAL[int(status[game])], f" (move {move})"


def _check_group(given: Path | str, group: Sequence[Path], tally: Tally, board_size: int) -> None:
    """Raise if an input has no valid game, unless it says itself that it is an empty shard.

    Where files of it have been set aside, what is left of it need not have one.
    """
    valid = tally.total("kept") + tally.total("duplicates")
    empty = not tally.total("records") and any(path.stat().st_size for path in group)
    if group and not valid and not empty and not tally.set_aside:
        raise BadInput(_nothing_valid(given, tally, board_size))


def _nothing_valid(given: Path | str, tally: Tally, board_size: int) -> str:
    """What was found in place of games."""
    records = tally.total("records")
    if tally.set_aside and not records:
        name, reason = tally.set_aside[0].values()
        count = len(tally.set_aside)
        return f"{given}: {count} files, all damaged; the first, {name}: {reason}; replace them"
    found = f"{given}: no valid {board_size}×{board_size} game; found {len(tally.files)} files with"
    if not records:
        return f"{found} no record at all; name a file or folder of games"
    reason, count = tally.reasons.most_common(1)[0]
    remedy = "correct the records"
    if reason == trmph.REASONS[trmph.OTHER_SIZE]:
        remedy = OTHER_SIZE_REMEDY
    return f"{found} {records} records, {count} of them: {tally.examples[reason]}; {remedy}"


def _write_chunks(
    folder: Path, spool: Spool, chunks: int, sha256: dict[str, str]
) -> list[dict[str, Any]]:
    """Cut the spool into chunks; their names and numbers of games."""
    if chunks > MOST_CHUNKS:
        raise BadInput(
            f"{folder}: {spool.games} games would fill {chunks} chunks, above the {MOST_CHUNKS}"
            " that are possible; raise clean.chunk_size"
        )
    names = [f"chunk_{chunk:04d}.trmph" for chunk in range(chunks)]
    stale = sorted(path.name for path in folder.glob("chunk_*.trmph") if path.name not in names)
    if stale:
        raise BadInput(
            f"{folder / stale[0]}: left by an earlier cleaning into more chunks; remove it, or name"
            " another output folder"
        )
    cutter = spool.cut()
    inputs = hashlib.sha256(json.dumps(sha256, sort_keys=True).encode()).hexdigest()
    written = []
    for chunk, name in enumerate(names):
        first, last = (spool.games * k // chunks for k in (chunk, chunk + 1))
        meta = {"stage": "clean", "chunk": chunk, "games": last - first, "inputs": inputs}
        cutter.write(folder / name, first, last, meta)
        written.append({"name": name, "games": last - first})
    return written
