"""Reading and cleaning records of 13×13 games: hexlib, Python alone, OpenSpiel, and the disk."""

import os
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import copyfile

import common
import numpy as np
import peers

from hexlib.game import board, records
from hexlib.settings import Clean
from hexlib.stages import clean

N = 13
MUST_PARSE, MUST_CLEAN = 100e6, 60e3  # moves and games a second
NOTES = """\
Made-up records: uniformly random games, a tenth of which come twice (half of these turned by 180°),
and one line in a hundred broken; the peers get the first tenth of them. "Python" reads the same
records into lists of cells, with one regular expression for a record and one for a move; its
cleaning only drops equal lines and knows neither rules nor winners. OpenSpiel plays the moves that
it has read by its own rules, in C++, and says who won. The limits do what must be done at least:
look at each byte once (numpy counts the line ends), and copy the file and sync it. Cleaning by
hexlib includes checksums, replay, hashes, the list of rejected records and the chunks, synced."""
RECORD = re.compile(r"#13,((?:[a-m]\d{1,2})+) ([br])\n")
MOVE = re.compile(r"([a-m])(\d{1,2})")


def make_records(folder: Path, count: int) -> None:
    """Write all.trmph, with duplicates and broken lines in it, and its first tenth, some.trmph."""
    moves = np.empty((count, N * N), np.int16)
    lengths, winners = np.empty(count, np.int32), np.empty(count, np.int8)
    board.random_games(N, count, 1, *board.geometry(N), moves, lengths, winners)
    moves[9::10] = moves[8::10]
    lengths[9::10], winners[9::10] = lengths[8::10], winners[8::10]
    moves[19::20] = N * N - 1 - moves[19::20]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    games = records.Games(N, moves[np.arange(N * N) < lengths[:, None]], offsets, winners)
    lines = records.records_of(games).tobytes().splitlines(keepends=True)
    for k in range(0, count, 100):
        lines[k] = lines[k][:-3] + b"\n"  # without a winner
    (folder / "all.trmph").write_bytes(b"".join(lines))
    (folder / "some.trmph").write_bytes(b"".join(lines[: count // 10]))


def read_by_re(path: Path) -> list[tuple[list[int], str]]:
    """The games that a plain reader finds."""
    found = []
    with path.open() as lines:
        for line in lines:
            if record := RECORD.fullmatch(line):
                moves = [(int(r) - 1) * N + ord(c) - 97 for c, r in MOVE.findall(record[1])]
                found.append((moves, record[2]))
    return found


def parsers(folder: Path) -> dict[str, Callable[[], int]]:
    """What reads the moves of a file, or looks at all of it; each returns how many there are."""
    path = folder / "all.trmph"

    def hexlib() -> int:
        return sum(len(block.games.moves) for block in records.read_games(path, N))

    def by_re() -> int:
        return sum(len(moves) for moves, _ in read_by_re(folder / "some.trmph"))

    def limit() -> int:
        np.count_nonzero(np.frombuffer(path.read_bytes(), np.uint8) == ord("\n"))
        return total

    total = hexlib()
    return {"hexlib": hexlib, "Python, `re`": by_re, "limit: each byte once": limit}


def cleaners(folder: Path, count: int) -> dict[str, Callable[[], int] | None]:
    """What goes through the records of a file; each returns how many. None if not installed."""
    path = folder / "all.trmph"

    def hexlib() -> int:
        settings = Clean(chunk_size=count)
        return int(clean.run([path], folder / "clean", N, settings)["records"])

    def by_re() -> int:
        seen = set()
        with (folder / "some.trmph").open() as lines, (folder / "kept").open("w") as kept:
            for line in lines:
                if RECORD.fullmatch(line) and line not in seen:
                    seen.add(line)
                    kept.write(line)
        return count // 10

    def copied() -> int:
        copyfile(path, folder / "copy")
        with (folder / "copy").open("rb+") as copy:
            os.fsync(copy.fileno())
        return count

    def openspiel() -> Callable[[], int]:
        winner_of = peers.openspiel_winner(N)

        def step() -> int:
            found = read_by_re(folder / "some.trmph")
            wrong = sum("br"[winner_of(moves)] != winner for moves, winner in found)
            if wrong:
                raise RuntimeError(f"OpenSpiel says that {wrong} winners are wrong")
            return count // 10

        return step

    return {
        "hexlib": hexlib,
        "Python, equal lines dropped": by_re,
        "Python, played by OpenSpiel": peers.installed(openspiel),
        "limit: copied and synced": copied,
    }


def rows(
    what: str, steps: dict[str, Callable[[], int] | None], rounds: int, seconds: float, must: float
) -> list[list[str]]:
    """Measure contestants who take turns; the rows of their table."""
    present = {name: step for name, step in steps.items() if step}
    for step in present.values():
        step()  # compiles, and fills the disk's cache
    rates = common.interleaved(
        {name: partial(common.rate, step, seconds) for name, step in present.items()}, rounds
    )
    return [
        [
            what,
            name,
            common.number(rates[name]) if name in rates else common.MISSING,
            common.ratio(rates["hexlib"], rates.get(name)),
            f"{must:,.0f}" if name == "hexlib" else "–",
        ]
        for name in steps
    ]


def main() -> None:
    """Measure, print, write."""
    arguments = common.start(__doc__ or "").parse_args()
    count, rounds, seconds = (2_000, 1, 0.02) if arguments.quick else (200_000, 5, 1.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_records(folder, count)
        table = [
            *rows("moves read", parsers(folder), rounds, seconds, MUST_PARSE),
            *rows("games cleaned", cleaners(folder, count), rounds, seconds, MUST_CLEAN),
        ]
    header = ["what", "by", "a second", "hexlib ÷ it", "aim"]
    common.publish("clean", "Cleaning", [common.table(header, table), NOTES], arguments.write)


if __name__ == "__main__":
    main()
