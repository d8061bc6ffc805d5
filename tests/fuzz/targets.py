"""The readers of everything that comes from a disk, each as a function of bytes.

A target may end in nothing but success or `BadInput` of one line. `SEEDS` has whole files to
start from. `tests/test_fuzz.py` and `tests/fuzz/atheris_driver.py` feed them.
"""

import gzip
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from synthetic import made_up_search, random_games

from hexlib import inspection, lines, npz, sources
from hexlib.errors import BadInput
from hexlib.game import convert, records, trmph
from hexlib.game.journal import Journal, PlayedGame
from hexlib.game.matched import read_matched, select_fitting
from hexlib.game.positions import open_positions
from hexlib.settings import Net, Process
from hexlib.stages import process, shuffle

GAMES = random_games(5, 3)
GROWN = Path(__file__).parent / "grown.zip"
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # no disk needs to see these files
_temporary = tempfile.TemporaryDirectory(prefix="hexlib-fuzz-", dir=_MEMORY)
FOLDER = Path(_temporary.name)


def _file(data: bytes, name: str) -> Path:
    path = FOLDER / name
    path.write_bytes(data)
    return path


def games(data: bytes) -> None:
    """A `.trmph`, plain or compressed: verified, described, counted and read alike."""
    path = _file(data, "x.trmph")
    records.verify(path)
    records.read_meta(path)
    trmph.board_size_of(path)
    found = 0
    for block in records.read_games(path, 5):
        found += len(block)
        assert all(block.text(r).isprintable() for r in range(len(block)))
        records.replay(block.games)
        records.game_hashes(block.games, True)
    assert found == sources.count_records([path])


def any_games(data: bytes) -> None:
    """SGF, links to hexworld.org or `.trmph`; what is read can be written and read again."""
    path = _file(data, "x.txt")
    for game, connected in convert.read_any(path):
        for name, write in convert.FORMATS.items():
            line = write(game, connected)
            assert list(convert.read_any(_file(line.encode(), f"y.{name}"))) == [(game, connected)]


def search(data: bytes) -> None:
    """Search statistics, and whether they are those of some games."""
    statistics, _ = records.read_search(_file(data, "g.search.npz"))
    path = FOLDER / "g.trmph"
    if not path.exists():
        records.write_games(path, [GAMES], {"kind": "games"})
    for block, part in read_matched(path, 5, statistics):
        select_fitting(path, block, part, np.ones(len(block.games), bool))


def positions(data: bytes) -> None:
    """Positions: opened, and scattered into two buckets."""
    path = _file(data, "p.npz")
    open_positions(path)
    shuffle.scatter(path, FOLDER / "scattered", 2, 0)


def parts(data: bytes) -> None:
    """Scattered parts: gathered."""
    (FOLDER / "parts").mkdir(exist_ok=True)
    _file(data, "parts/parts.npz")
    shuffle.gather([FOLDER / "parts"], 1, FOLDER / "bucket.npz", 0)


def document(data: bytes) -> None:
    """A summary, and the description of any JSON product."""
    from hexlib.nn.buckets import bucket_files, open_bucket

    (FOLDER / "source").mkdir(exist_ok=True)
    path = _file(data, "source/summary.json")
    try:
        inspection.inspect(path)
    except BadInput:
        for bucket in bucket_files(path.parent):
            open_bucket(bucket, 0.0)


def checkpoint(data: bytes) -> None:
    """A network, and what `hexlib inspect` says of it."""
    from hexlib.nn.checkpoint import load_checkpoint

    path = _file(data, "c.pt")
    load_checkpoint(path)
    inspection.inspect(path)


def journal(data: bytes) -> None:
    """Finished games of an unfinished shard, of which a kill may have torn anything."""
    Journal(_file(data, "shard.games"), {"a": 1}).close()


def _games_file() -> bytes:
    path = FOLDER / "seed.trmph"
    records.write_games(path, [GAMES], {"kind": "games"})
    return path.read_bytes()


def _search_file() -> bytes:
    path = FOLDER / "seed.search.npz"
    records.write_search(path, made_up_search(GAMES), {})
    return path.read_bytes()


def _positions_file() -> bytes:
    _games_file()
    process.run(FOLDER / "seed.trmph", FOLDER / "seed.npz", Process(), 5)
    return (FOLDER / "seed.npz").read_bytes()


def _parts_file() -> bytes:
    _positions_file()
    shuffle.scatter(FOLDER / "seed.npz", FOLDER, 2, 0)
    return (FOLDER / "parts.npz").read_bytes()


def _checkpoint_file() -> bytes:
    from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
    from hexlib.nn.model import random_network

    network = random_network(Net(blocks=1, channels=8), 0)
    save_checkpoint(FOLDER / "seed.pt", Checkpoint(network, [5], {"seed": 0}))
    return (FOLDER / "seed.pt").read_bytes()


def _journal_file() -> bytes:
    path = FOLDER / "seed.games"
    path.unlink(missing_ok=True)
    kept = Journal(path, {"a": 1})
    half = np.zeros(2, np.float16)
    for game in range(2):
        cells = np.array([0, 1], np.uint16)
        kept.add(
            PlayedGame(game, 1, np.array([0, 6], np.int16), half, np.ones(2, np.uint8), cells, half)
        )
    kept.close()
    return path.read_bytes()


LINK = b"https://hexworld.org/board/#5r9c1,d1:sc2,a5:rw\n"
TEXTS = [
    b"#5,a1b2c3 b # note\r\n# comment\n\nhttps://trmph.com/hex/board#5,d1d1c2 2\n",
    b"(;FF[4]GM[11]SZ[5]RE[W+R]C[\\]];B[d1];W[swap-pieces];B[c2](;W[a5])(;W[b5]))\n(;GM[11])",
    LINK,
    b"\xef\xbb\xbf(;GM[11]SZ[3:3];W[a1];B[swap-sides];B[resign])",
]
SUMMARY = b'{"kind": "shuffle", "schema": 1, "buckets": [{"name": "bucket_0000.npz", "rows": 3}]}'


def _packed(texts: list[bytes]) -> list[bytes]:
    return [gzip.compress(texts[0], mtime=0), lines.zstd.compress(texts[1])]


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "games": (games, lambda: [_games_file(), TEXTS[0], *_packed(TEXTS)]),
    "any_games": (any_games, lambda: [*TEXTS, *_packed(TEXTS)]),
    "search": (search, lambda: [_search_file()]),
    "positions": (positions, lambda: [_positions_file()]),
    "parts": (parts, lambda: [_parts_file()]),
    "document": (document, lambda: [SUMMARY]),
    "checkpoint": (checkpoint, lambda: [_checkpoint_file()]),
    "journal": (journal, lambda: [_journal_file()]),
}


def grown(name: str) -> list[bytes]:
    """Inputs that atheris came to in ten minutes of a target, each of which reached code anew.

    Checkpoints of more than 12 kB, mostly weights, are left out.
    """
    with zipfile.ZipFile(GROWN) as archive:
        members = [found for found in archive.namelist() if found.startswith(f"{name}/")]
        return [archive.read(member) for member in members]


def feed(name: str, data: bytes) -> None:
    """Run a target; anything but success or an error of one line is a bug."""
    try:
        TARGETS[name][0](data)
    except BadInput as error:
        if len(str(error).splitlines()) != 1:
            raise AssertionError(f"not one line: {error}") from error


def arrays_as_npz(arrays: dict[str, np.ndarray], meta: dict[str, object]) -> bytes:
    """An npz that is whole, whatever is in it, to get past the checksums."""
    with tempfile.TemporaryFile() as handle:
        writer = npz.Writer(handle, {k: (a.dtype, a.shape) for k, a in arrays.items()}, meta)
        for key, array in arrays.items():
            writer.append(key, array)
        writer.close()
        handle.seek(0)
        return handle.read()
