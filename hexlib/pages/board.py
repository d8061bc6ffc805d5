"""Where things lie on a drawn board: hexagons, edges and coordinates.

Templates draw what is laid out here, so that every page that shows a board shows the same one;
scripts only ever paint what has been drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from hexlib.game.notation import cell_name

SIDE = 20.0  # of a hexagon, in units of the SVG
STEP = SIDE * sqrt(3)  # from one cell to the next in its row
MARGIN = 30.0  # round the hexagons, for coordinates and edges
# Corners of a hexagon that stands on its point, from its centre; clockwise from the upper left.
CORNERS = [
    (-STEP / 2, -SIDE / 2),
    (0.0, -SIDE),
    (STEP / 2, -SIDE / 2),
    (STEP / 2, SIDE / 2),
    (0.0, SIDE),
    (-STEP / 2, SIDE / 2),
]
# Corners that lie on each side of the board, in drawing order along it.
SIDES = {"top": (0, 1, 2), "right": (2, 3), "bottom": (5, 4, 3), "left": (0, 5)}


@dataclass
class Cell:
    """One cell of a board: its name and its centre."""

    name: str
    x: float
    y: float


@dataclass
class Board:
    """A laid out n×n board."""

    size: int
    width: float
    height: float
    hexagon: str  # corners of a cell from its centre, as SVG points
    cells: list[Cell]  # row by row
    edges: list[tuple[str, str]]  # colour and SVG points of each of the four sides
    labels: list[tuple[str, float, float]]  # text and place of each coordinate

    @property
    def rows(self) -> list[list[tuple[int, Cell]]]:
        """The cells with their numbers, a list a row."""
        numbered = list(enumerate(self.cells))
        return [numbered[start : start + self.size] for start in range(0, len(numbered), self.size)]


def board_of(n: int) -> Board:
    """Lay out an n×n board: rows lean to the right, so that a1 is the upper left corner."""
    cells = []
    for number in range(n * n):
        row, column = divmod(number, n)
        x = MARGIN + STEP / 2 + STEP * (column + row / 2)
        cells.append(Cell(cell_name(number, n), x, MARGIN + SIDE + 1.5 * SIDE * row))
    last = cells[-1]
    letters = [(cell.name[0], cell.x - STEP / 4, cell.y - 1.55 * SIDE) for cell in cells[:n]]
    numbers = [
        (cell.name[1:], cell.x - (0.82 + 0.08 * len(cell.name[1:])) * STEP, cell.y - 0.1 * SIDE)
        for cell in cells[::n]
    ]
    lines = {
        "top": cells[:n],
        "right": cells[n - 1 :: n],
        "bottom": cells[-n:],
        "left": cells[::n],
    }
    edges = [
        (
            "blue" if side in ("top", "bottom") else "red",
            _points(
                [
                    (cell.x + CORNERS[k][0], cell.y + CORNERS[k][1])
                    for cell in lines[side]
                    for k in corners
                ]
            ),
        )
        for side, corners in SIDES.items()
    ]
    return Board(
        size=n,
        width=last.x + STEP / 2 + MARGIN / 2,
        height=last.y + SIDE + MARGIN / 2,
        hexagon=_points(CORNERS),
        cells=cells,
        edges=edges,
        labels=letters + numbers,
    )


@dataclass
class Opening:
    """A first move of blue: where it lies, and what is thought and known of it."""

    cell: Cell
    value: float  # −1 to 1: how surely blue wins by moving here first
    truth: int | None  # +1 blue wins, −1 red wins, None not known

    @property
    def colour(self) -> str:
        """Who wins, as the value says."""
        return "blue" if self.value >= 0 else "red"

    @property
    def heat(self) -> float:
        """Opacity of the colour; low enough for the text on it to stay readable."""
        return 0.06 + 0.5 * min(abs(self.value), 1.0)

    @property
    def text(self) -> str:
        """The value in four characters at most, such as −.83."""
        hundredths = round(min(abs(self.value), 1.0) * 100)
        sign = "−" if self.value < 0 else "+"
        return f"{sign}1" if hundredths == 100 else f"{sign}.{hundredths:02d}"

    @property
    def wrong(self) -> bool:
        """Whether the value names the other winner than the truth."""
        return self.truth is not None and (self.value > 0) != (self.truth > 0)


@dataclass
class Openings:
    """The heat map of blue's first move."""

    board: Board
    cells: list[Opening]

    @property
    def solved(self) -> list[Opening]:
        """Cells whose truth is known."""
        return [cell for cell in self.cells if cell.truth is not None]

    @property
    def wrong(self) -> list[Opening]:
        """Cells that are judged against the truth."""
        return [cell for cell in self.cells if cell.wrong]

    @property
    def best(self) -> Opening:
        """The cell of highest value."""
        return max(self.cells, key=lambda cell: cell.value)


def openings_of(n: int, values: Sequence[float], truth: Sequence[int] | None) -> Openings:
    """The heat map of blue's first move.

    `values` [n·n] from −1 to 1 and `truth` [n·n] of ±1, 0 where it is not known, row by
    row, for blue, who makes the move.
    """
    board = board_of(n)
    known = truth or [0] * (n * n)
    cells = [
        Opening(cell, value, winner or None)
        for cell, value, winner in zip(board.cells, values, known, strict=True)
    ]
    return Openings(board, cells)


def _points(corners: Sequence[tuple[float, float]]) -> str:
    """As in the `points` of an SVG polygon."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
