"""The sha256 of every product of a run, noted by the job that made it, to tell what was altered.

`RUN/checksums.sha256` has a line for each product, as `sha256sum` writes it. Jobs append to it; the
last line about a file counts. A finished workflow leaves one line a file that is there.
"""

import fcntl
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hexlib import files
from hexlib.errors import BadInput

NAME = "checksums.sha256"
# What the workflow drops once it is used, unless keep_intermediate is set.
INTERMEDIATE = ("process/", "shuffle/scattered/")


@dataclass
class Verdict:
    """What became of the products since they were made; paths relative to the run."""

    whole: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def record(run: Path, paths: Iterable[Path]) -> None:
    """Note the sha256 of the products of a run among `paths`; hidden files are none."""
    root = run.resolve()
    lines = ""
    for path in dict.fromkeys(paths):
        found = path.resolve()
        if root in found.parents and found.is_file():
            name = found.relative_to(root)
            if not any(part.startswith(".") for part in name.parts):
                lines += f"{files.sha256(found)}  {name.as_posix()}\n"
    if not lines:
        return
    with (run / NAME).open("a+b", buffering=0) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = handle.seek(0, os.SEEK_END)
        # A kill may have torn the last line.
        torn = size > 0 and os.pread(handle.fileno(), 1, size - 1) != b"\n"
        files.write_all(handle, memoryview(b"\n" * torn + lines.encode()))
        os.fsync(handle.fileno())


def read(run: Path) -> dict[str, str]:
    """The sha256 of each product by its path relative to the run; `BadInput` if none is noted."""
    try:
        text = (run / NAME).read_text()
    except UnicodeDecodeError:
        raise BadInput(
            f"{run / NAME}: holds no checksums; remove it and run the workflow"
        ) from None
    except OSError:
        raise BadInput(f"{run}: no {NAME} in it; name a folder such as results/default") from None
    noted = {}
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) == 64 and name:
            noted[name] = digest
    return noted


def tidy(run: Path) -> None:
    """Leave one line for each product that is there, in the order of their names."""
    if not (run / NAME).exists():
        return
    there = {name: digest for name, digest in read(run).items() if (run / name).is_file()}
    files.write_text(run / NAME, "".join(f"{there[n]}  {n}\n" for n in sorted(there)))


def verify(run: Path) -> Verdict:
    """Compute the checksums of a run's products again. Raises `BadInput` if none is noted."""
    verdict = Verdict()
    for name, digest in sorted(read(run).items()):
        path = run / name
        if not path.is_file():
            if not name.partition("/")[2].startswith(INTERMEDIATE):
                verdict.missing.append(name)
        elif files.sha256(path) == digest:
            verdict.whole.append(name)
        else:
            verdict.altered.append(name)
    return verdict
