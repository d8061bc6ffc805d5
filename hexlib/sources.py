"""Where games that somebody else made are found, and how many they are."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from hexlib import lines
from hexlib.errors import BadInput, Damaged
from hexlib.settings import OnCorrupt

COMPRESSED = ("", ".gz", ".zst")
SUFFIXES = tuple(text + packed for text in (".trmph", ".txt") for packed in COMPRESSED)


def game_files(paths: Iterable[Path | str], suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """The files of games at `paths`, sorted, each once: files as named, folders at any depth.

    Of a folder, those whose names end in one of `suffixes`. A path that
    does not exist and a folder that holds no file of games are a `BadInput`.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        if path.is_dir():
            inside = [
                p for p in path.rglob("*") if p.name.endswith(tuple(suffixes)) and p.is_file()
            ]
            if not inside:
                kinds = ", ".join(f"*{suffix}" for suffix in suffixes)
                raise BadInput(f"{path}: no game file ({kinds}) in this folder; name another")
            found.update(inside)
        elif path.is_file():
            found.add(path)
        else:
            raise BadInput(f"{path}: no such file or folder of games; correct the path")
    return sorted(found)


def search_path(path: Path | str) -> Path:
    """Where the search statistics of a file of games lie: `x.search.npz` beside `x.trmph.gz`."""
    path = Path(path)
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    return path.with_name(name.removesuffix(Path(name).suffix) + ".search.npz")


def count_records(paths: Iterable[Path], on_corrupt: OnCorrupt = "stop") -> int:
    """Lines of the files that hold a record, whole or broken: neither empty nor a comment.

    A file that cannot be read to its end is `Damaged`, or counts for what can be read of it.
    """
    total = 0
    for path in paths:
        try:
            for block in lines.blocks(path):
                total += sum(map(_is_record, block.split(b"\n")))
        except Damaged:
            if on_corrupt == "stop":
                raise
    return total


def _is_record(line: bytes) -> bool:
    start = line.lstrip(b" \t\r")
    return bool(start) and start != b"#" and not start.startswith((b"# ", b"#\t", b"#\r"))
