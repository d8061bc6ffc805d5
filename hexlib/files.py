"""Products on disk: whole or absent, the same bytes each time, readable without pickle."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from hexlib.errors import BadInput, Damaged

SCHEMA = 1  # of every product; raised when a reader of the old layout would misread the new


@contextlib.contextmanager
def atomic(path: Path | str, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file that becomes `path` when the block ends without an error.

    The file is synced before the rename and the folder after it, so that after a power loss
    `path` is either absent, the old file, or the whole new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open(mode) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the renames and removals inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
