"""Playing against a checkpoint: the rules, the player, the server's answers and its bounds."""

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from hexlib.errors import BadInput
from hexlib.game.board import BLUE, RED
from hexlib.game.chain import winning_chain
from hexlib.game.notation import cell_index, cell_name, trmph_line
from hexlib.game.symmetry import reflection
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.model import HexNet
from hexlib.pages.games import stones_after
from hexlib.play import analysis, server
from hexlib.play.notes import read_game, read_game_file
from hexlib.search.player import Player
from hexlib.search.standing import standing_after
from hexlib.settings import Inference, Net

SIZE = 5


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    import torch

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("play") / "initial.pt"
    save_checkpoint(path, Checkpoint(HexNet(Net(blocks=1, channels=8)), [SIZE]))
    return path


@pytest.fixture(scope="session")
def player(checkpoint):
    return Player(checkpoint, Inference(device="cpu", backend="torch", precision="float32"))


def cells(text, n=SIZE):
    return read_game(f"#{n},{text}")[1]


@st.composite
def orders(draw):
    n = draw(st.integers(3, 6))
    return n, draw(st.permutations(range(n * n)))


@settings(deadline=None)  # the first call compiles
@given(orders(), st.booleans())
def test_chain_joins_the_edges_and_is_connected(order, swap):
    n, moves = order
    played, winner = [], 0
    for move in moves:
        played.append(move)
        if swap and len(played) == 1:
            played.append(move)
        standing = standing_after(n, played)
        winner = standing.winner
        assert standing.stones.tolist() == stones_after(played, n)
        assert standing.to_move == BLUE + len(played) % 2
        if winner:
            break
    chain = standing.chain
    rows, columns = np.divmod(chain, n)
    along = rows if winner == BLUE else columns
    assert (along[0], along[-1]) == (0, n - 1)
    assert all(standing.stones[cell] == winner for cell in chain)
    steps = set(zip(np.diff(rows).tolist(), np.diff(columns).tolist(), strict=True))
    assert steps <= {(0, 1), (0, -1), (1, 0), (-1, 0), (1, -1), (-1, 1)}
    assert winning_chain(standing.stones.tolist(), n, BLUE + RED - winner) == []
    with pytest.raises(ValueError, match=r"the game was over before"):
        standing_after(n, [*played, moves[-1]])


def test_swap_is_the_reflection_with_the_colours_exchanged():
    n, moves = 5, cells("d1d1c2b3c4")
    mirror = reflection(n)
    other = standing_after(n, [int(mirror[m]) for m in moves[1:]])
    here = standing_after(n, moves)
    exchanged = np.array([0, RED, BLUE])[other.stones]
    assert np.array_equal(here.stones, exchanged[mirror])


def test_illegal_moves_are_named():
    with pytest.raises(ValueError, match="move 3: b2 is not empty"):
        standing_after(5, cells("a1b2b2"))
    with pytest.raises(ValueError, match="move 1: 25 is no cell of a 5×5 board"):
        standing_after(5, [25])


def test_player_wins_where_it_can_and_blocks_where_it_must(player):
    almost = standing_after(SIZE, cells("c1a1c2a2c3a3c4a4"))
    blocked = standing_after(SIZE, cells("c1a1c2a2c3a3c4c5"))
    urgent = standing_after(SIZE, cells("c1a1c2a2c3a3c4"))
    first, second, third = player.think([almost, blocked, urgent], 16)
    assert cell_name(first.move, SIZE) in ("c5", "b5")
    assert first.value == 1
    assert first.line == [first.move]
    assert standing_after(SIZE, (*almost.moves, first.move)).winner == BLUE
    assert cell_name(second.move, SIZE) == "b5"
    assert third.value == -1  # two cells would win, and only one can be taken
    for thought in (first, second, third):
        assert thought.policy.sum() == pytest.approx(1, abs=1e-3)


def test_thought_does_not_depend_on_its_neighbours_or_the_cache(player, checkpoint):
    standings = [standing_after(SIZE, [cell]) for cell in range(SIZE**2)]
    together = player.think(standings, 8)
    fresh = Player(checkpoint, Inference(device="cpu", backend="torch", precision="float32"))
    for standing, thought in zip(standings[::6], together[::6], strict=True):
        (alone,) = fresh.think([standing], 8)
        assert (alone.move, alone.value, alone.line) == (thought.move, thought.value, thought.line)
    raw = player.think(standings, 0)
    assert all(thought.line == [thought.move] for thought in raw)
    assert len({thought.value for thought in together}) > 5


def test_line_is_a_legal_continuation(player):
    standing = standing_after(SIZE, cells("c3"))
    (thought,) = player.think([standing], 64)
    assert thought.line[0] == thought.move
    assert len(thought.line) > 1
    assert standing_after(SIZE, (*standing.moves, *thought.line)).moves


def test_forced_move_has_the_value_of_what_follows(player):
    # Red is about to join a3 with e3 through c3 alone, so that blue must go there.
    standing = standing_after(SIZE, cells("a1a3b1b3c1d3d1e3"))
    (thought,) = player.think([standing], 16)
    assert cell_name(thought.move, SIZE) == "c3"
    after = standing_after(SIZE, (*standing.moves, thought.move))
    (beyond,) = player.think([after], 16)
    assert thought.value == -beyond.value
    assert thought.line == [thought.move, *beyond.line]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#5,c3a1", (5, "c3a1")),
        ("  https://trmph.com/hex/board#13,A13m1 b # a remark\n", (13, "a13m1")),
        ("#5,d1d1c2 r", (5, "d1d1c2")),
        ("#5,", (5, "")),
    ],
)
def test_records_are_read(text, found):
    size, moves = read_game(text)
    assert (size, "".join(cell_name(move, size) for move in moves)) == found


@pytest.mark.parametrize("text", ["", "d4c5", "#5 c3", "#25,a1", "#5,f1", "#5,a6", "#5,c3x"])
def test_what_is_no_record_is_told(text):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        read_game(text)


def test_game_of_a_file_is_found_or_its_absence_told(tmp_path):
    path = tmp_path / "games.trmph"
    path.write_text("# made by hand\n\n#5,c3 b\n#5,z9 r\n")
    assert read_game_file(path, 1) == (5, cells("c3"))
    with pytest.raises(BadInput, match=r"games\.trmph:4: 'z9' lies outside the 5×5 board"):
        read_game_file(path, 2)
    with pytest.raises(BadInput, match=r"has 2 games, and no game 3; --game"):
        read_game_file(path, 3)
    with pytest.raises(BadInput, match="cannot be read"):
        read_game_file(tmp_path / "absent", 1)


def test_analysis_judges_every_move(player):
    # After c4 blue wins at c5 or b5; a1 throws that away, and red's a2 gives it back.
    moves = cells("c1a5c2a4c3a3c4e1a1e2c5")
    game, judged = analysis.analyse(player, SIZE, moves, 64, "test, game 1")
    assert [one.move for one in judged] == moves
    assert game.winner == BLUE
    before_last = judged[8]
    assert (before_last.before, before_last.after) == (1, 1)  # still won: two cells remain
    assert judged[10].before == judged[10].after == 1
    assert judged[10].mark == ""
    assert len(game.plies) == len(moves) + 1
    assert [ply.best for ply in game.plies[:-1]] == [
        one.best if k != 1 else game.plies[1].best for k, one in enumerate(judged)
    ]
    text = analysis.page(game, judged, "checkpoint", 64)
    assert "Blunders: blue " in text
    assert "/tmp" not in text


def test_blunder_is_one(player):
    # Red threatens to join through c3 alone; a move elsewhere loses at once.
    moves = cells("a1a3b1b3c1d3d1e3e5c3")
    game, judged = analysis.analyse(player, SIZE, moves, 64, "test")
    assert game.winner == RED
    miss = judged[8]
    assert miss.after == -1
    assert miss.best == cell_index("c3", SIZE)
    assert miss.lost == pytest.approx((miss.before + 1) / 2)
    assert game.plies[8].mark == miss.mark


@pytest.mark.parametrize(
    ("before", "after", "mark"),
    [(1, 0.9, ""), (0.5, 0.3, "doubtful"), (0.5, -0.09, "doubtful"), (0.5, -0.11, "blunder")],
)
def test_marks_stand_for_chances_given_away(before, after, mark):
    assert analysis.Judgement(3, 5, 6, before, after).mark == mark
    assert analysis.Judgement(3, 5, 5, before, after).mark == ""  # the best there was


def test_game_without_moves_or_with_a_wrong_one_is_bad_input(player):
    with pytest.raises(BadInput, match="x: a game without moves"):
        analysis.analyse(player, SIZE, [], 4, "x")
    with pytest.raises(BadInput, match="x: move 3: c3 is not empty"):
        analysis.analyse(player, SIZE, cells("a1c3c3"), 4, "x")


@contextlib.contextmanager
def serving(player):
    """The address of a page that a player serves, without a slash at its end."""
    config = uvicorn.Config(server.app(player, "a network"), port=0, log_level="error")
    running = uvicorn.Server(config)
    socket = config.bind_socket()
    thread = threading.Thread(target=running.run, kwargs={"sockets": [socket]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    running.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def served(player):
    with serving(player) as address:
        yield SimpleNamespace(address=address)


def ask(served, path, data=None, **headers):
    """Status and content of an answer."""
    body = None if data is None else data if isinstance(data, bytes) else json.dumps(data).encode()
    kind = {"Content-Type": "application/json"} if body is not None else {}
    request = urllib.request.Request(served.address + path, body, {**kind, **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_whole_game_through_the_server(served):
    moves = []
    while True:
        status, text = ask(served, "/move", {"size": 5, "moves": moves, "simulations": 4})
        answer = json.loads(text)
        assert status == 200, text
        moves.append(answer["move"])
        if answer["winner"]:
            break
        status, text = ask(served, "/hints", {"size": 5, "moves": moves, "simulations": 4})
        hint = json.loads(text)
        assert -1 <= hint["value"] <= 1
        assert all(cell not in moves for cell, _ in hint["policy"])
    standing = standing_after(5, moves)
    assert (answer["winner"], answer["chain"]) == (standing.winner, standing.chain)
    status, text = ask(served, "/move", {"size": 5, "moves": moves})
    assert (status, json.loads(text)) == (400, {"error": "the game is over"})
    line = trmph_line(5, moves, standing.winner)
    status, text = ask(served, "/read", {"text": line})
    assert json.loads(text)["moves"] == moves


def test_network_takes_over_a_strong_first_stone_and_opens_evenly(served, player):
    values = {}
    for cell in range(25):
        (thought,) = player.think([standing_after(5, [cell])], 16)
        values[cell] = -thought.value  # for blue, who opened
    for cell, value in values.items():
        question = {"size": 5, "moves": [cell], "simulations": 16, "may_swap": True}
        answer = json.loads(ask(served, "/move", question)[1])
        assert (answer["move"] == cell) == (value > 0)
    question = {"size": 5, "moves": [], "simulations": 16, "may_swap": True}
    opening = json.loads(ask(served, "/move", question)[1])
    raw = [-one.value for one in player.think([standing_after(5, [c]) for c in range(25)], 0)]
    assert abs(raw[opening["move"]]) == min(map(abs, raw))


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ({"size": 2, "moves": []}, "size: Input should be greater than or equal to 3"),
        ({"size": 20, "moves": []}, "size: Input should be less than or equal to 19"),
        ({"size": 5, "moves": [25]}, "move 1: 25 is no cell of a 5×5 board"),
        ({"size": 5, "moves": [-1]}, "moves.0: Input should be greater than or equal to 0"),
        ({"size": 5, "moves": [1, 2, 2]}, "move 3: c1 is not empty"),
        ({"size": 5, "moves": ["a1"]}, "moves.0: Input should be a valid integer"),
        ({"size": 5, "moves": list(range(363))}, "moves"),
        ({"size": 5, "moves": [], "simulations": 10**9}, "simulations: Input should be less than"),
        ({"size": 5, "moves": [], "else": 1}, "else: Extra inputs are not permitted"),
        (b"{torn", "question: Invalid JSON"),
        (b"[" * 10_000, "question: Invalid JSON"),
        ([], "question: Input should be an object"),
    ],
)
def test_questions_are_bounded_and_checked(served, question, says):
    for path in ("/position", "/move", "/hints"):
        status, text = ask(served, path, question)
        assert status == 400
        assert json.loads(text)["error"].startswith(says)
        assert "\n" not in json.loads(text)["error"]


def test_strangers_are_turned_away(served):
    good = {"size": 5, "moves": []}
    assert ask(served, "/position", good)[0] == 200
    assert ask(served, "/position", good, Host="evil.example")[0] == 400
    assert ask(served, "/", Host="evil.example")[0] == 400
    assert ask(served, "/position", b"x=1", **{"Content-Type": "text/plain"})[0] == 415
    assert ask(served, "/position", b" " * 20_000)[0] == 413
    assert ask(served, "/position")[0] == 405
    assert ask(served, "/etc/passwd")[0] == 404
    assert ask(served, "/read", {"text": "x" * 5000})[0] == 400
    assert "error" in json.loads(ask(served, "/read", {"text": "nothing"})[1])


@pytest.mark.parametrize("query", ["size=2", "size=x", "colour=green", "simulations=-1", "a=b"])
def test_page_takes_only_what_it_knows(served, query):
    assert ask(served, "/")[0] == 200
    status, text = ask(served, f"/?{query}")
    assert status == 400
    assert "\n" not in text.strip()


def test_port_that_is_taken_is_bad_input(player, served):
    with pytest.raises(BadInput, match=r"--port \d+: cannot be listened on"):
        server.serve(player, "", int(served.address.rpartition(":")[2]))
