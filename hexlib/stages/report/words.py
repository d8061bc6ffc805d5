"""The parts of a page and the wording of numbers, common to all sections."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from hexlib.pages.board import Board, Openings, board_of
from hexlib.pages.games import ShownGame
from hexlib.pages.tables import Table
from hexlib.stages.report.charts import Chart

UNKNOWN = "–"


@dataclass
class Section:
    """A part of the page; `empty` is said in place of the rest when nothing is known."""

    anchor: str
    title: str
    intro: str = ""
    empty: str = ""
    charts: Sequence[Chart] = ()
    openings: Openings | None = None
    openings_description: str = ""
    games: Sequence[ShownGame] = ()  # of one board size
    tables: Sequence[Table] = ()
    folded: Sequence[Table] = ()  # behind a click
    facts: list[tuple[str, str, str]] = field(default_factory=list)  # name, value, remark
    notes: list[str] = field(default_factory=list)
    settings: str = ""

    @property
    def games_board(self) -> Board:
        """The board that the games are shown on."""
        return board_of(self.games[0].size)


def floats(values: Iterable[float | None]) -> np.ndarray:
    """float64, NaN for None."""
    return np.array([np.nan if value is None else value for value in values], float)


def percent(share: float | None) -> str:
    """A share as 12.3%, or a dash."""
    return UNKNOWN if share is None else f"{share:.1%}"


def digest(digest: str | None) -> str:
    """The start of a sha256, all of it in the hint."""
    if not digest:
        return UNKNOWN
    return Markup('<code title="{}">{}</code>').format(digest, digest[:10])


def bar(share: float) -> str:
    """A share as a percentage on a bar of that length."""
    return Markup('<span class="bar" style="--share: {:.1f}%">{:.0f}%</span>').format(
        100 * share, 100 * share
    )
