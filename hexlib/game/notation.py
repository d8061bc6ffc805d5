"""Cell names and the one-line `.trmph` record."""

from collections.abc import Iterable

from hexlib.game.board import BLUE, RED

WINNER_LETTER = {BLUE: "b", RED: "r"}
COLOUR_NAME = {BLUE: "blue", RED: "red"}


def cell_name(cell: int, n: int) -> str:
    """`a1` is row 0, column 0: a letter for the column, then the row from 1."""
    row, column = divmod(int(cell), n)
    return f"{chr(ord('a') + column)}{row + 1}"


def cell_index(name: str, n: int) -> int:
    """The cell of a name such as `c7`; ValueError if it is no cell of an n×n board."""
    letter, digits = name[:1].lower(), name[1:]
    if not ("a" <= letter <= "z" and digits.isascii() and digits.isdigit()):
        raise ValueError(f"{name!r} is not a cell: a letter and a number are wanted, such as c4")
    column, row = ord(letter) - ord("a"), int(digits) - 1
    if column >= n or not 0 <= row < n:
        raise ValueError(f"{name!r} lies outside the {n}×{n} board")
    return row * n + column


def trmph_line(n: int, moves: Iterable[int], winner: int) -> str:
    """The record of a finished game, for instance `#5,c3a1c4 b`, without a newline."""
    return f"#{n},{''.join(cell_name(move, n) for move in moves)} {WINNER_LETTER[winner]}"
