"""Converting games: there and back, against another SGF parser, and what is no game told."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sgfmill import sgf_grammar
from synthetic import random_games

from hexlib import cli, lines
from hexlib.errors import BadInput
from hexlib.game import convert, records, sgf
from hexlib.game.board import BLUE, RED
from hexlib.game.exchange import Game, judge
from hexlib.game.notation import cell_index, cell_name
from hexlib.lines import zstd

FORMATS = sorted(convert.FORMATS)


@st.composite
def games(draw):
    """A game that one side won or gave up, with a swap or without, and whether it was won."""
    n = draw(st.integers(3, 19))
    ((moves, winner),) = random_games(n, 1, draw(st.integers(1, 10**6)))
    moves, swapped = moves.tolist(), draw(st.booleans())
    if draw(st.booleans()):
        return Game(n, moves, winner, swapped), True
    cut = moves[: draw(st.integers(1, len(moves) - 1))]
    return Game(n, cut, draw(st.sampled_from([BLUE, RED])), swapped), False


@settings(max_examples=60, deadline=None)
@given(st.lists(games(), min_size=1, max_size=6), st.sampled_from(["", ".gz", ".zst"]))
def test_every_notation_comes_back(tmp_path_factory, played, packed):
    folder = tmp_path_factory.mktemp("games")
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}[packed]
    texts = {}
    for to in FORMATS:
        text = "".join(convert.FORMATS[to](*one) + "\n" for one in played)
        texts[to] = text
        path = folder / f"games.{to}{packed}"
        path.write_bytes(pack(text.encode()))
        assert list(convert.read_any(path)) == played
    for to in FORMATS:
        for found in FORMATS:
            read = convert.read_any(folder / f"games.{found}{packed}")
            assert "".join(convert.FORMATS[to](*one) + "\n" for one in read) == texts[to]


@settings(max_examples=60, deadline=None)
@given(games())
def test_another_parser_reads_the_sgf_alike(one):
    game, connected = one
    tree = sgf_grammar.parse_sgf_game(sgf.format_sgf(game, connected).encode())
    nodes = sgf_grammar.main_sequence_iter(tree)
    root = next(nodes)
    assert (root["FF"], root["GM"]) == ([b"4"], [b"11"])
    assert root["SZ"] == [str(game.board_size).encode()]
    sides = [next(iter(node.items())) for node in nodes]
    assert [side for side, _ in sides] == ["BW"[k % 2] for k in range(len(sides))]
    moves = [value.decode() for _, (value,) in sides]
    if game.swapped:
        assert moves.pop(1) == "swap-pieces"
    cells = [cell_index(move, game.board_size) for move in moves]
    n = game.board_size
    if game.swapped:  # the second player's stone is the first one in the mirror
        cells = [cells[0], *(cell % n * n + cell // n for cell in cells[1:])]
    assert cells == game.moves
    blue = game.winner == (RED if game.swapped else BLUE)
    assert root["RE"] == [(b"B+" if blue else b"W+") + (b"" if connected else b"R")]


def read_text(tmp_path, text):
    path = tmp_path / "x"
    path.write_text(text)
    return list(convert.read_any(path))


def names(game):
    return "".join(cell_name(cell, game.board_size) for cell in game.moves)


ROOT = "(;FF[4]GM[11]SZ[5]"
# What other programs write: the resolved moves, the winner, whether it was swapped and connected.
WRITTEN = {
    "(;GM[11]SZ[5];B[a1];W[b2];B[resign])": ("a1b2", RED, False, False),
    "(;GM[11]SZ[5];B[a1];W[b2];W[forfeit])": ("a1b2", BLUE, False, False),
    f"{ROOT}RE[W+Resign];B[A1];W[B2])": ("a1b2", RED, False, False),
    f"{ROOT}RE[B];B[a1];W[b2])": ("a1b2", BLUE, False, False),
    # The stone on d1 is white's on a4 then; seen from white's side it is on d1 again.
    f"{ROOT}RE[B+R];B[d1];W[swap-pieces];B[c2];W[a5])": ("d1b3e1", RED, True, False),
    f"{ROOT}RE[B+R];B[d1];W[swap-sides];W[c2];B[a5])": ("d1c2a5", BLUE, True, False),
    # White begins: what connects left and right is the first player, whom hexlib turns.
    f"{ROOT}RE[W+R];W[d1];B[c2])": ("a4b3", BLUE, False, False),
    f"{ROOT};W[a1];B[a2];W[b1];B[a3];W[c1];B[a4];W[d1];B[a5];W[e1])": (
        *("a1b1a2c1a3d1a4e1a5", BLUE),
        *(False, True),
    ),
    # The first variation is the game; comments may hold anything.
    f"{ROOT}RE[W+R]C[ \\] (;B[e5\\]) ];B[a1]C[x](;W[b2];B[c3](;W[e5])(;W[d5]))(;W[d4]))": (
        *("a1b2c3e5", RED),
        *(False, False),
    ),
    "\ufeff(;Game[11]GM[11]\r\nSiZe[9]SZ[5:5]\r\nRE[B+]\r\n;B[a1]\r\n;W[b2])\r\n": (
        *("a1b2", BLUE),
        *(False, False),
    ),
    "https://hexworld.org/board/#5,a1b2:rb": ("a1b2", RED, False, False),
    "https://hexworld.org/board/#5c1,a1b2:rw": ("a1b2", BLUE, False, False),
    "hexworld.org/board/#5r9c1,a1,b2:fw": ("a1b2", BLUE, False, False),
    "https://www.hexworld.org/board/#5x5r10mnc2,d1:s,c2a5:rw": ("d1b3e1", RED, True, False),
    "https://hexworld.org/board/#5,d1:Sc2a5:rw": ("d1c2a5", BLUE, True, False),
    "https://hexworld.org/board/#5%2Cd1%3Asc2a5%3Arw": ("d1b3e1", RED, True, False),
    "# a comment\n\nhttps://hexworld.org/board/#3,a1b1a2b2a3": ("a1b1a2b2a3", BLUE, False, True),
    "#3,a1b1a2b2a3 1": ("a1b1a2b2a3", BLUE, False, True),
    "https://trmph.com/hex/board#5,d1d1c2a5 b # said to be close": ("a4b3e1", RED, True, False),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_what_others_write(tmp_path, text):
    wanted = WRITTEN[text]
    ((game, connected),) = read_text(tmp_path, text)
    assert (names(game), game.winner, game.swapped, connected) == wanted


LINK = "https://hexworld.org/board/#"
# What is no game, and what is said of it.
WRONG = {
    "(;FF[4]SZ[5];B[a1])": "x:1: not a game of Hex, which says GM[11], but GM[]; correct",
    "\n\n(;GM[1]SZ[5];B[aa])": "x:3: not a game of Hex, which says GM[11], but GM[1]; correct",
    "(;GM[11]SZ[20];B[a1];W[resign])": "x:1: a board of size 20: 3 to 19 are possible; correct",
    "(;GM[11]SZ[2];B[a1])": "x:1: a board of size 2: 3 to 19 are possible; correct",
    "(;GM[11]SZ[5:6];B[a1])": "x:1: unreadable board size SZ[5:6]; correct",
    "(;GM[11]SZ[big];B[a1])": "x:1: unreadable board size SZ[big]; correct",
    f"{ROOT})": "x:1: no moves; correct",
    f"{ROOT};B[resign])": "x:1: no moves; correct",
    f"{ROOT};B[aa])": "x:1: 'aa' is not a cell: a letter and a number are wanted, such as c4; corr",
    f"{ROOT};B[f6];W[resign])": "x:1: 'f6' lies outside the 5×5 board; correct",
    f"{ROOT};B[];W[resign])": "x:1: '' is not a cell: a letter and a number are wanted, such as c4",
    f"{ROOT}AB[a1];W[b2];B[resign])": "x:1: stones that are set up, which records here cannot hold",
    f"{ROOT};B[a1];B[b2];W[resign])": "x:1: move 2 is by the player who is not to move; correct",
    f"{ROOT};B[swap-pieces])": "x:1: a swap that is not the second move; correct",
    f"{ROOT};B[a1];W[b2];B[swap-sides])": "x:1: a swap that is not the second move; correct",
    f"{ROOT};B[a1];W[resign];B[b2])": "x:1: a move after the game was given up; correct",
    f"{ROOT}RE[W+];B[a1];W[resign])": "x:1: the result is RE[W+], but that player gave up; correct",
    f"{ROOT};B[a1];W[b2])": "x:1: the game is not finished, and nobody gave up; correct",
    f"{ROOT}RE[B+R];B[a1];W[a1])": "x:1: move 2 on an occupied cell; correct",
    "(;GM[11]SZ[3]RE[W+];B[a1];W[b1];B[a2];W[b2];B[a3])": "x:1: wrong winner (blue won); correct",
    "(;GM[11]SZ[3];B[a1];W[b1];B[a2];W[b2];B[a3];W[c1])": "x:1: move 6 after the end of the game",
    f"{ROOT};B[a1]": "x:1: a game without its ); is the file whole?",
    f"{ROOT}\n;B[a1": "x:2: a value without its ]; is it an SGF file, and whole?",
    f"{ROOT};B[a1];W[resign])\nand so on": "x:2: text outside a game; an SGF game is in brackets",
    f"{ROOT};B[a1];\nW=resign)": "x:2: unreadable text; is it an SGF file, and whole?",
    f"{LINK}13": "x:1: no moves; correct",
    f"{LINK}x,a1:rb": "x:1: unreadable board size 'x'; correct",
    f"{LINK}5x6,a1:rb": "x:1: unreadable board size '5x6'; correct",
    f"{LINK}21,a1:rb": "x:1: a board of size 21: 3 to 19 are possible; correct",
    f"{LINK}5,a1:pb2:rb": "x:1: a pass, which records here cannot hold; correct",
    f"{LINK}5,a1:xb2:rb": "x:1: unknown move ':x'; correct",
    f"{LINK}5,a1b2:s:rb": "x:1: a swap that is not the second move; correct",
    f"{LINK}5,a1:s:s:rb": "x:1: a swap that is not the second move; correct",
    f"{LINK}5,a1:rbb2": "x:1: a move after the game was given up; correct",
    f"{LINK}5,a1!b2:rb": "x:1: '!' is not a cell: a letter and a number are wanted, such as c4",
    f"{LINK}5,a1b2": "x:1: the game is not finished, and nobody gave up; correct",
    f"{LINK}5,a1a1:rb": "x:1: move 2 on an occupied cell; correct",
    f"{LINK}5,a1:rb\nhttps://example.org/#5,a1": "x:2: not a link to a game on hexworld.org",
    "#5,a1b2 b\n#6,a1a0 b": "x:2: move off the board; correct",
    "#5,a1b2 b\n#99,a1b2 b": "x:2: another board size; correct",
    "#5,a1b2": "x:1: no winner; correct",
    "words": "x:1: not a record; correct",
    "#3,a1a1b1 b\n#3,a1a1b1b1 b": "x:2: move 4 on an occupied cell; correct",
    "": "x: is empty; make it again, or take it away",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_game_is_told_in_one_line(tmp_path, text):
    with pytest.raises(BadInput) as error:
        read_text(tmp_path, text)
    said = str(error.value).removeprefix(f"{tmp_path}/")
    assert said.startswith(WRONG[text])
    assert "\n" not in said


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60))
def test_pieces_of_any_size_make_the_same_games(tmp_path_factory, block):
    path = tmp_path_factory.mktemp("sgf") / "x.sgf"
    text = f"{ROOT}RE[B+R]C[a long \\] comment\n];B[d1];W[swap-pieces];Black[c2])"
    path.write_text(f"{text}\n  {text}{text}")
    whole = list(sgf.read_sgf(path))
    assert [line for line, _ in whole] == [1, 3, 4]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        assert list(sgf.read_sgf(path)) == whole


def test_mixed_board_sizes_and_a_product_of_ours(tmp_path):
    played = [Game(n, [0, n + 1], BLUE) for n in (5, 7, 3, 5, 19)]
    text = "".join(convert.format_trmph(game, False) + "\n" for game in played)
    assert read_text(tmp_path, text) == [(game, False) for game in played]
    records.write_games(tmp_path / "y.trmph", [random_games(5, 20)], {"kind": "games"})
    assert sum(won for _, won in convert.read_any(tmp_path / "y.trmph")) == 20
    (tmp_path / "y.trmph").write_bytes((tmp_path / "y.trmph").read_bytes()[:-20])
    with pytest.raises(BadInput, match=r"y\.trmph: not as it was written"):
        next(convert.read_any(tmp_path / "y.trmph"))


def test_judge_fills_in_the_winner():
    ((moves, winner),) = random_games(7, 1)
    game = Game(7, moves.tolist(), 0)
    assert judge(game) == (game._replace(winner=winner), True)
    assert isinstance(judge(game)[0].winner, int)
    assert not isinstance(judge(game)[0].winner, np.integer)


def test_the_verb_takes_files_folders_and_links(tmp_path, capsys):
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/a.sgf").write_text(f"{ROOT}RE[B+R];B[a1];W[b2])")
    (tmp_path / "deep/er/b.trmph.gz").write_bytes(gzip.compress(b"#5,c3d4 r\n"))
    (tmp_path / "deep/README.md").write_text("not a game")
    output = str(tmp_path / "out.hexworld")
    link = f"{LINK}3,a1b1a2b2a3"
    given = [str(tmp_path / "deep"), link, "--to", "hexworld", "--output", output]
    assert cli.main(["convert", *given]) == 0
    assert (tmp_path / "out.hexworld").read_text().splitlines() == [
        f"{LINK}5,a1b2:rw",
        f"{LINK}5,c3d4:rb",
        link,
    ]
    assert "convert: 3 games" in capsys.readouterr().err
    assert cli.main(["convert", output, "--to", "trmph"]) == 0
    assert capsys.readouterr().out == "#5,a1b2 b\n#5,c3d4 r\n#3,a1b1a2b2a3 b\n"
    assert cli.main(["convert", f"{LINK}5,a1", "--to", "sgf"]) == 2
    assert f"{LINK}5,a1: the game is not finished" in capsys.readouterr().err
    assert cli.main(["convert", output, "--to", "sgf", "--output", "x.sgf.gz"]) == 2
    assert "x.sgf.gz: what is written is not compressed" in capsys.readouterr().err
