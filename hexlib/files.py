"""Products on disk: whole or absent, the same bytes each time, readable without pickle."""

import contextlib
import fcntl
import glob
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from hexlib.errors import BadInput, Damaged

SCHEMA = 1  # of every product; raised when a reader of the old layout would misread the new

written: list[Path] = []  # by this process, whole


@contextlib.contextmanager
def atomic(path: Path | str, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that becomes `path` when the block ends without an error.

    The file is synced before the rename and the folder after it, so that after a power loss
    `path` is either absent, the old file, or the whole new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open(mode) as handle:
            with contextlib.suppress(OSError):  # not every file system has locks
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        written.append(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # which a failed write does not know
        raise
    sync_folder(path.parent)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of a product whose writers were killed: nobody holds their lock."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError), left.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def sync_folder(folder: Path) -> None:
    """Make the renames and removals inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(handle: io.FileIO, data: memoryview) -> None:
    """Write all of `data` to a file without a buffer; an error names the file.

    A buffer that a full disk left filled would be written, and fail, again when the file closes.
    """
    try:
        while data:
            data = data[handle.write(data) :]
    except OSError as error:
        error.filename = str(handle.name)
        raise


class Unchanged:
    """Files that are read for a while and must stay as they are in that time."""

    def __init__(self, paths: Iterable[Path | str]):
        self._before = {path: self._identity(path) for path in map(Path, paths)}

    @staticmethod
    def _identity(path: Path) -> tuple[int, ...]:
        status = path.stat()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def check(self) -> None:
        """Raise `BadInput` if one of them has been written to or replaced."""
        for path, before in self._before.items():
            if not path.exists() or self._identity(path) != before:
                raise BadInput(
                    f"{path}: changed while it was being read, so that nothing was made of it;"
                    " leave it alone and run the same command again"
                )


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with atomic(path) as handle:
        handle.write(text.encode())


def write_json(path: Path | str, data: Any) -> None:
    """Write `data` as indented JSON with a final newline, whole or not at all."""
    write_text(path, json.dumps(data, indent=2) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file; `BadInput` if it is missing, `Damaged` if it is broken."""
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(
            path, f"not readable as JSON ({error})", "remove it to make it again"
        ) from None


def sha256(path: Path | str) -> str:
    """Hex digest of the file's bytes."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_of(paths: Sequence[Path | str]) -> dict[str, str]:
    """Digest by file name (without folders, so that a run can be moved)."""
    return {Path(path).name: sha256(path) for path in paths}
