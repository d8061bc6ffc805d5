"""Games in the Smart Game Format, FF[4] and GM[11], read as a stream.

The properties of Hex are those of https://www.red-bean.com/sgf/hex.html: a cell is its column
letter and its row number, black (B) connects top and bottom, white (W) left and right, black begins
if nothing else is said, and a move may be `swap-pieces`, `swap-sides`, `resign` or `forfeit`. Of a
tree of variations the main line is the game, comments and names are passed over, stones set up
before the first move cannot be held.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from hexlib import lines
from hexlib.errors import BadInput
from hexlib.game.board import BLUE, EMPTY, RED
from hexlib.game.exchange import Game, Line, swap_pieces
from hexlib.game.notation import cell_index, cell_name
from hexlib.game.symmetry import reflection

_TOKEN = re.compile(rb"\s++|[();]|[A-Za-z]++|\[[^\]\\]*+(?:\\.[^\]\\]*+)*+\]", re.DOTALL)
_LONGEST = 1 << 20  # bytes of a property value
_MOST = 2000  # moves and root properties looked at in a game; a board has 361 cells
_SIDE = {"B": BLUE, "W": RED}
_KNOWN = {"GM", "SZ", "RE", "B", "W", "AB", "AW", "AE", "PL"}  # those that matter here
_RESULT = re.compile(r"([bw])(?:\+.*)?", re.IGNORECASE | re.DOTALL)

Node = tuple[str, str]  # name and value of a property


def read_sgf(path: Path | str) -> Iterator[tuple[int, Game]]:
    """The games of a collection, each with the line on which it starts.

    Their winners are as the files name them: `exchange.judge` tells whether they won. Memory does
    not grow with the file. Raises `BadInput` with file and line for what is no game of Hex.
    """
    for line, found in _trees(path):
        try:
            yield line, _game(found)
        except ValueError as error:
            raise BadInput(f"{path}:{line}: {error}; correct this game or take it out") from None


def _trees(path: Path | str) -> Iterator[tuple[int, list[Node]]]:
    """The main line of each game tree: its known properties in order, and its first line."""
    depth, started, main, name = 0, 1, True, ""
    found: list[Node] = []
    for line, token in _tokens(path):
        if token == b"(":
            if not depth:
                started, main, found, name = line, True, [], ""
            depth += 1
        elif token == b")" and depth:
            depth, main = depth - 1, False  # what follows in this tree are variations
            if not depth:
                yield started, found
        elif not depth:
            raise BadInput(f"{path}:{line}: text outside a game; an SGF game is in brackets: (;…)")
        elif token == b";":
            name = ""
        elif token[:1] != b"[":
            name = re.sub("[a-z]", "", token.decode())  # old files spell names out: Black
        elif main and name in _KNOWN and len(found) < _MOST:
            text = re.sub(rb"\\(.)", rb"\1", token[1:-1], flags=re.DOTALL)
            found.append((name, " ".join(text.decode(errors="replace").split())))
    if depth:
        raise BadInput(f"{path}:{started}: a game without its ); is the file whole?")


def _tokens(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """Brackets, semicolons, names and whole values, each with its line; no white space."""
    line, rest = 1, b""
    for piece in lines.text(path):
        rest += piece
        at = 0
        while found := _TOKEN.match(rest, at):
            if found.end() == len(rest) and rest[-1:].isalpha():
                break  # a name may go on in the next piece
            if not found[0].isspace():
                yield line, found[0]
            line += found[0].count(b"\n")
            at = found.end()
        rest = rest[at:]
        if rest and (rest[:1] != b"[" or len(rest) > _LONGEST) and not rest.isalpha():
            break
    if rest:
        what = "a value without its ]" if rest[:1] == b"[" else "unreadable text"
        raise BadInput(f"{path}:{line}: {what}; is it an SGF file, and whole?")


def _game(found: list[Node]) -> Game:
    """The game of a main line."""
    root = {name: value for name, value in reversed(found) if name not in _SIDE}
    if root.get("GM") != "11":
        raise ValueError(f"not a game of Hex, which says GM[11], but GM[{root.get('GM', '')[:20]}]")
    if root.keys() & {"AB", "AW", "AE", "PL"}:
        raise ValueError("stones that are set up, which records here cannot hold")
    size = re.fullmatch(r"(\d{1,3})(?::(\d{1,3}))?", root.get("SZ", "11"), re.ASCII)
    if not size or size[2] not in (None, size[1]):
        raise ValueError(f"unreadable board size SZ[{root['SZ'][:20]}]")
    moves = [(_SIDE[name], value.lower()) for name, value in found if name in _SIDE]
    # Where white begins, it is white who is the first player.
    mirrored = bool(moves) and moves[0][0] == RED
    line = Line(int(size[1]))
    for side, move in moves:
        player = BLUE + RED - side if mirrored else side
        if move in ("resign", "forfeit"):
            line.give_up(player)
            continue
        if line.winner == EMPTY and player != line.to_move:
            raise ValueError(f"move {len(line.cells) + 1} is by the player who is not to move")
        if move in ("swap-pieces", "swap-sides"):
            line.swap(pieces=move == "swap-pieces")
        else:
            cell = cell_index(move, line.board_size)
            line.play(int(reflection(line.board_size)[cell]) if mirrored else cell)
    result = _RESULT.fullmatch(root.get("RE", ""))
    if result:
        winner = _SIDE[result[1].upper()]
        winner = BLUE + RED - winner if mirrored else winner
        if line.winner not in (EMPTY, winner):
            raise ValueError(f"the result is RE[{root['RE'][:20]}], but that player gave up")
        line.winner = winner
    return line.game()


def format_sgf(game: Game, connected: bool) -> str:
    """A game in one line, without a newline; `connected` as of `exchange.judge`."""
    seen = swap_pieces(game)
    moves = [cell_name(cell, game.board_size) for cell in seen.moves]
    if game.swapped:
        moves.insert(1, "swap-pieces")
    nodes = "".join(f";{'BW'[k % 2]}[{move}]" for k, move in enumerate(moves))
    result = {BLUE: "B+", RED: "W+"}[seen.winner] + ("" if connected else "R")
    return f"(;FF[4]GM[11]CA[UTF-8]SZ[{game.board_size}]RE[{result}]{nodes})"
