"""Doing without files that are not whole, where the settings say so."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hexlib import logs
from hexlib.errors import Damaged
from hexlib.settings import OnCorrupt

Result = TypeVar("Result")
Aside = dict[Path, str]  # what is wrong with each file that is set aside


def without_damaged(attempt: Callable[[Aside], Result], on_corrupt: OnCorrupt) -> Result:
    """What `attempt` returns, which may not touch the files that are set aside.

    Each time that it finds another one damaged it is called again without that one, if
    `on_corrupt` is "skip"; else the error is raised. Nothing is moved or removed.
    """
    aside: Aside = {}
    while True:
        try:
            return attempt(aside)
        except Damaged as error:
            if on_corrupt == "stop" or error.path in aside:
                raise
            logs.log.warning(f"set aside: {error}")
            aside[error.path] = error.problem


def named(aside: Mapping[Path, str]) -> dict[str, Any]:
    """What a product says of the files set aside: `set_aside`, their names and reasons, if any."""
    files = [{"name": path.name, "reason": reason} for path, reason in aside.items()]
    return {"set_aside": files} if files else {}
