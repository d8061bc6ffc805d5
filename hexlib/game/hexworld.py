"""Links to the board of hexworld.org, which hold a whole game.

    https://hexworld.org/board/#SIZE[FLAGS],MOVES[,MOVES]

Flags turn and colour the board on the screen: `r9`, `m`, `n`, `c1`. A comma may stand where the
viewer is in the game. Moves are cells, `:s` (swap of pieces: the board is reflected in its long
diagonal, all stones change colour), `:S` (swap of sides), `:p` (a pass), and, for the player who
connects top and bottom and for the other one, `:rb` and `:rw` (gives up), `:fb` and `:fw`
(forfeits). The first player connects top and bottom. The site documents none of it: this follows
the bookmarklet on https://hexworld.org/board/about.html and, for the rest, what the authors of
other boards have read out of its script (https://github.com/Phlogistique/hex-relative).
"""

import re
from urllib.parse import unquote

from hexlib.game.board import BLUE, RED
from hexlib.game.exchange import Game, Line, swap_pieces
from hexlib.game.notation import cell_index, cell_name

PREFIX = "https://hexworld.org/board/#"
_LINK = re.compile(r"(?:https?://)?(?:www\.)?hexworld\.org/board/?#([^,]*)(.*)", re.ASCII)
_SIZE = re.compile(r"(\d{1,2})(?:x(\d{1,2}))?(?:r\d+|m|n|c\d+)*", re.ASCII)
_MOVE = re.compile(r":[rf][bw]|:.?|[a-z]+\d*|.", re.ASCII | re.DOTALL)
_LOSER = {":rb": BLUE, ":fb": BLUE, ":rw": RED, ":fw": RED}


def read_hexworld(link: str) -> Game:
    """The game of a link; `ValueError` says what is wrong with it.

    The link names a winner only where a player gave up: `exchange.judge` finds the others.
    """
    found = _LINK.fullmatch(unquote(link.strip()))
    if not found:
        raise ValueError("not a link to a game on hexworld.org")
    size = _SIZE.fullmatch(found[1])
    if not size or size[2] not in (None, size[1]):
        raise ValueError(f"unreadable board size {found[1]!r}")
    line = Line(int(size[1]))
    for move in _MOVE.findall(found[2].replace(",", "")):
        if move in (":s", ":S"):
            line.swap(pieces=move == ":s")
        elif move in _LOSER:
            line.give_up(_LOSER[move])
        elif move == ":p":
            raise ValueError("a pass, which records here cannot hold")
        elif move[0] == ":":
            raise ValueError(f"unknown move {move!r}")
        else:
            line.play(cell_index(move, line.board_size))
    return line.game()


def format_hexworld(game: Game, connected: bool) -> str:
    """The link to a game, without a newline; `connected` as of `exchange.judge`."""
    seen = swap_pieces(game)
    cells = [cell_name(cell, game.board_size) for cell in seen.moves]
    if game.swapped:
        cells.insert(1, ":s")
    end = "" if connected else {BLUE: ":rw", RED: ":rb"}[seen.winner]
    return f"{PREFIX}{game.board_size},{''.join(cells)}{end}"
