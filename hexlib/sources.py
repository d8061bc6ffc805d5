"""Where games that somebody else made are found, and how many they are."""

import gzip
from collections.abc import Iterable
from pathlib import Path

from hexlib.errors import BadInput

SUFFIXES = (".trmph", ".txt", ".trmph.gz")


def game_files(paths: Iterable[Path | str]) -> list[Path]:
    """The files of games at `paths`, sorted, each once: files as named, folders at any depth.

    A path that does not exist and a folder that holds no file of games are a `BadInput`.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        if path.is_dir():
            inside = [p for p in path.rglob("*") if p.name.endswith(SUFFIXES) and p.is_file()]
            if not inside:
                kinds = ", ".join(f"*{suffix}" for suffix in SUFFIXES)
                raise BadInput(f"{path}: no game file ({kinds}) in this folder; name another")
            found.update(inside)
        elif path.is_file():
            found.add(path)
        else:
            raise BadInput(f"{path}: no such file or folder of games; correct the path")
    return sorted(found)


def count_records(paths: Iterable[Path]) -> int:
    """Lines of the files that hold a record, whole or broken: neither empty nor a comment."""
    total = 0
    for path in paths:
        try:
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
                total += sum(bool(line.strip()) and not line.startswith(b"# ") for line in lines)
        except (OSError, EOFError) as error:
            raise BadInput(f"{path}: cannot be read ({error}); remove or replace it") from None
    return total
