"""By what a product was made: the code's commit, and the versions of what it depends on."""

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
LIBRARIES = ("hexlib", "numpy", "numba", "torch", "openvino")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a product's bytes, where installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def code() -> dict[str, Any]:
    """The commit that last changed the package, and whether its files are as committed.

    A commit that only touches documents or settings does not count, so that it changes no product.
    Both are None where the package is not in a git repository.
    """
    commit = _git("log", "-1", "--format=%H", "--", ".")
    changes = _git("status", "--porcelain", "--", ".")
    if not commit or changes is None:
        return {"commit": None, "clean": None}
    return {"commit": commit, "clean": not changes}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
