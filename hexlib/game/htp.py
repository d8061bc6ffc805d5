"""The Hex Text Protocol: what an engine and the program that drives it have in common.

HTP is the Go Text Protocol, version 2 (Farnebäck 2002), with the moves of Hex, as HexGui and the
engines around it speak it: a command is a line, maybe with a number in front; its answer starts
with `=` or `?` and ends with an empty line. Black moves first, so it is our blue, and joins top and
bottom; cells are named as everywhere here.
"""

from hexlib.game.board import BLUE, RED

COLOURS = {"black": BLUE, "b": BLUE, "white": RED, "w": RED}
COLOUR_NAME = {BLUE: "black", RED: "white"}
RESIGN, SWAP_PIECES, SWAP_SIDES = "resign", "swap-pieces", "swap-sides"


def command_words(line: str) -> tuple[str, list[str]]:
    """The number in front of a command (empty if there is none) and the command's words.

    Tabs count as blanks, other control characters as nothing, and `#` begins a comment.
    """
    line = line.partition("#")[0].replace("\t", " ")
    words = "".join(c for c in line if c.isprintable()).split()
    if words and words[0].isascii() and words[0].isdigit():
        return words[0], words[1:]
    return "", words


def answer(number: str, succeeded: bool, text: str) -> str:
    """The answer to a command, as it goes over the line; `text` must have no empty line."""
    return f"{'=' if succeeded else '?'}{number} {text}\n\n"
