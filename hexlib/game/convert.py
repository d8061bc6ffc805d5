"""Reading a game file of any known kind, and writing the lines of any."""

import re
from collections.abc import Iterator
from pathlib import Path

from hexlib import lines, sources
from hexlib.errors import BadInput
from hexlib.game import board, records, trmph
from hexlib.game.exchange import Game, judge, mirrored
from hexlib.game.hexworld import format_hexworld, read_hexworld
from hexlib.game.notation import trmph_line
from hexlib.game.sgf import format_sgf, read_sgf

REMEDY = "correct the record or take it out"
KINDS = (".trmph", ".txt", ".sgf", ".hexworld")
_SIZES = range(board.MIN_SIZE, board.MAX_SIZE + 1)
SUFFIXES = tuple(kind + packed for kind in KINDS for packed in sources.COMPRESSED)


def read_any(path: Path | str) -> Iterator[tuple[Game, bool]]:
    """The games of a file, each with its winner and whether that is by connection.

    An SGF collection begins with a bracket; a file whose first record is a link to hexworld.org
    has one a line; any other is a `.trmph`. Plain, gzip or zstd. Raises `BadInput` with file and
    line for the first record that is no legal game, finished or given up, and `Damaged` if the
    file is not whole.
    """
    records.verify(path)
    kind = next(filter(None, map(_first_record, lines.blocks(path))), b"")
    if kind.startswith(b"("):
        found = read_sgf(path)
    else:
        found = _links(path) if b"hexworld.org" in kind else _trmph(path)
    for line, game in found:
        try:
            yield judge(game)
        except ValueError as error:
            raise BadInput(f"{path}:{line}: {error}; {REMEDY}") from None


def read_link(link: str) -> tuple[Game, bool]:
    """The game of one link to hexworld.org, as of `read_any`."""
    try:
        return judge(read_hexworld(link))
    except ValueError as error:
        raise BadInput(f"{link}: {error}; correct the link") from None


def _first_record(block: bytes) -> bytes:
    """The first line that is neither empty nor a comment; empty if there is none."""
    found = re.search(rb"^[ \t\r]*+(?!#\s|#?$)(.*)", block, re.MULTILINE)
    return found[1] if found else b""


def _links(path: Path | str) -> Iterator[tuple[int, Game]]:
    number = 0
    for block in lines.blocks(path):
        for text in block.removesuffix(b"\n").split(b"\n"):
            number += 1
            link = text.decode(errors="replace").strip()
            if link and not re.match(r"#(\s|$)", link):
                try:
                    yield number, read_hexworld(link)
                except ValueError as error:
                    raise BadInput(f"{path}:{number}: {error}; {REMEDY}") from None


def _trmph(path: Path | str) -> Iterator[tuple[int, Game]]:
    """Records of any board size, where `records.read_games` takes one."""
    first = trmph.board_size_of(path) or 0  # of the first; another one is read on its own
    for block in records.read_games(path, first if first in _SIZES else board.MIN_SIZE):
        games = zip(block.games, block.swapped.tolist(), strict=True)
        for record, line in enumerate(block.lines.tolist()):
            n, problem = block.games.board_size, block.problems[record]
            if problem == trmph.OTHER_SIZE and block.at[record] in _SIZES:
                n = int(block.at[record])
                start, end = block.spans[record]
                one, _ = records.parse(trmph.padded(block.data[start:end].tobytes()), n, line)
                if one.problems[0]:
                    raise BadInput(f"{path}:{line}: {one.reason(0)}; {REMEDY}")
                (moves, winner), swapped = next(iter(one.games)), bool(one.swapped[0])
            elif problem:
                raise BadInput(f"{path}:{line}: {block.reason(record)}; {REMEDY}")
            else:
                (moves, winner), swapped = next(games)
            yield line, Game(n, moves.tolist(), winner, swapped)


def format_trmph(game: Game, connected: bool) -> str:
    """The record of a game, without a newline; a game that was given up is not finished."""
    if not game.swapped:
        return trmph_line(game.board_size, game.moves, game.winner)
    seen = mirrored(game)
    return trmph_line(game.board_size, [seen.moves[0], *seen.moves], seen.winner)


FORMATS = {"sgf": format_sgf, "hexworld": format_hexworld, "trmph": format_trmph}
