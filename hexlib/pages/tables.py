"""Tables of a page."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Table:
    """Rows of formatted text under `headers`; the first column names the row."""

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    footer: Sequence[str] = ()
