"""The HTP engine: what it answers, and that no input breaks it."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexlib import cli
from hexlib.game.board import BLUE, EMPTY, RED
from hexlib.game.htp import COLOUR_NAME, COLOURS, command_words
from hexlib.game.notation import cell_index, cell_name
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.model import random_network
from hexlib.play.clock import SHARE, Clock
from hexlib.play.game import Game, Refused
from hexlib.play.htp import FEWEST, LONGEST_LINE, Engine, serve
from hexlib.search.interface import positions_after
from hexlib.search.player import Player, Thought
from hexlib.search.standing import standing_after
from hexlib.settings import Inference, Net

REPOSITORY = Path(__file__).parents[1]


class FirstCell:
    """Thinks of the first empty cell, and that `value` is what the position is worth."""

    def __init__(self, value=0.0):
        self.value = value
        self.simulations = []

    def think_of(self, position, simulations):
        self.simulations.append(simulations)
        empty = position.cells[0, :-1] == EMPTY
        move = int(empty.argmax())
        policy = empty / np.float32(empty.sum())
        values = np.where(empty, np.float32(self.value), np.float32(np.nan))
        return [Thought(move, self.value, policy, [move], empty.astype(np.int32), values)]

    def even_opening(self, n):
        return 1, 0.0


def engine(value=0.0, size=4, simulations=100, **options):
    return Engine(FirstCell(value), size, simulations, **options)


def told(engine, *lines):
    """The answers' texts, with `=` or `?` in front and without the end."""
    answers = [engine.reply(line) for line in lines]
    assert all(answer.endswith("\n\n") for answer in answers)
    return [answer[:-2] for answer in answers]


TRANSCRIPT = """\
> name
= hexlib
> 7 protocol_version
=7 2
> known_command genmove
= true
> known_command sing
= false
> boardsize 4 4
=
> play black B2
=
> play w b2
? b2 is occupied
> play white e1
? 'e1' lies outside the 4×4 board
> play white swap-pieces
=
> play black a1  # a comment
=
> play white swap-sides
? only the second player can swap, as his first move
> undo
=
> genmove black
= a1
> showboard
=
   a  b  c  d
 1  B  .  .  .  1
  2  .  W  .  .  2
   3  .  .  .  .  3
    4  .  .  .  .  4
        a  b  c  d
> final_score
? cannot score: the game is not over
> clear_board
=
> play black d1
=
> play white swap-pieces
=
> hex-analyze black
= black a1 value +0.0000 simulations 15
a1 1 +0.0000 0.0667
b1 1 +0.0000 0.0667
c1 1 +0.0000 0.0667
d1 1 +0.0000 0.0667
a2 1 +0.0000 0.0667
b2 1 +0.0000 0.0667
c2 1 +0.0000 0.0667
d2 1 +0.0000 0.0667
a3 1 +0.0000 0.0667
b3 1 +0.0000 0.0667
c3 1 +0.0000 0.0667
d3 1 +0.0000 0.0667
b4 1 +0.0000 0.0667
c4 1 +0.0000 0.0667
d4 1 +0.0000 0.0667
> boardsize 3
=
> play black a1
=
> play black a2
=
> hex-visits white
= b1 1 c1 1 b2 1 c2 1 a3 1 b3 1 c3 1
> hex-values white
= b1 +0.00 c1 +0.00 b2 +0.00 c2 +0.00 a3 +0.00 b3 +0.00 c3 +0.00
> play black a3
=
> genmove white
? the game is over, black has won
> final_score
= B+
> undo
=
> reg_genmove white
= b1
> play white resign
=
> final_score
= B+
> play black a3
? white has resigned
> time_left white
? syntax: time_left COLOUR SECONDS STONES
> boardsize 20
? unacceptable board size: a number from 0 to 19 is wanted
> boardsize 3 4
? unacceptable size: n or n n is wanted, from 3 to 19
> sing
? unknown command: sing
> quit
=
"""


def test_transcript():
    playing = engine()
    lines = []
    for line in TRANSCRIPT.splitlines():
        if line.startswith("> "):
            lines.append(line)
            lines += told(playing, line[2:])[0].splitlines()
    assert [line.rstrip() for line in lines] == TRANSCRIPT.splitlines()
    assert playing.finished


def test_what_hexgui_asks_at_its_start_is_answered_as_it_reads_it():
    asked = ["name", "version", "hexgui-analyze_commands", "boardsize 11 11", "clear_board"]
    playing = engine()
    for line in [*asked, "play black a1", "showboard"]:
        answer = playing.reply(line)
        # It takes `= ` or `? ` for the start, and the first empty line for the end.
        assert answer[:2] == "= "
        assert answer.index("\n\n") == len(answer) - 2
    for line in told(playing, "hexgui-analyze_commands")[0][2:].splitlines():
        kind, _, command = line.split("/")
        assert kind in ("pspairs", "plist", "string")
        (answer,) = told(playing, command.replace("%c", "white"))
        assert answer.startswith("= ")
        if kind == "pspairs":
            pairs = answer[2:].split()
            assert all(cell_index(cell, 11) > 0 for cell in pairs[::2])
            assert len(pairs) == 2 * 120


def test_swap_is_offered_and_taken_only_where_it_is_asked_for():
    swapping = engine(value=-0.3, swap=True)
    assert told(swapping, "genmove black", "genmove white") == ["= b1", "= swap-pieces"]
    assert swapping.reply("play black a2") == "? a2 is occupied\n\n"
    assert told(engine(value=0.3, swap=True), "play b a1", "genmove w") == ["= ", "= b1"]
    assert told(engine(value=-0.3), "play b a1", "genmove w") == ["= ", "= b1"]


def test_it_resigns_only_where_it_is_told_to():
    hopeless = engine(value=-0.95, resign_value=0.9)
    assert told(hopeless, "genmove b", "final_score") == ["= resign", "= W+"]
    assert told(engine(value=-0.95), "genmove b") == ["= a1"]
    assert told(engine(value=-0.85, resign_value=0.9), "genmove b") == ["= a1"]


def test_the_controllers_clock_reaches_the_search():
    playing = engine(simulations=5000)

    def searched(*lines, pace=1000.0):
        playing._pace = pace
        told(playing, *lines)
        return playing._player.simulations[-1]

    assert searched("genmove b") == 5000
    assert searched("time_left b 0.1 2", "genmove b") == 32  # of the 40 that SHARE leaves
    assert searched("time_left b 0 1", "genmove b") == FEWEST
    assert searched("time_left b 1000 1", "genmove b") == 5000
    assert searched("time_settings 1 0 0", "genmove w") == 128  # of 0.8 s for five moves
    assert searched("time_settings 0 1 0", "genmove w") == 5000


def test_clock_counts_down_and_goes_over_to_periods():
    clock = Clock()
    clock.set(60, 10, 5)
    clock.spent(RED, 60)
    assert clock.for_move(RED, 100) == SHARE * 10 / 5
    assert clock.for_move(BLUE, 100) == SHARE * 60 / 25
    clock.left(BLUE, 8, 2)
    clock.spent(BLUE, 3)
    assert clock.for_move(BLUE, 100) == SHARE * 5


VOCABULARY = (
    "name boardsize clear_board play genmove undo showboard final_score time_left quit hex-analyze"
    " time_settings known_command list_commands reg_genmove hex-values hex-visits version"
    " black white b W a1 c3 D4 a0 z9 swap-pieces swap-sides resign 0 3 5 19 20 -1 1e9 nan # 12 é"
    " hexgui-analyze_commands"
)
WORDS = st.sampled_from(VOCABULARY.split())
LINES = st.one_of(
    st.lists(WORDS, max_size=4).map(" ".join),
    st.tuples(st.just("play"), st.sampled_from("bw"), WORDS).map(" ".join),
    st.text(max_size=40),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=30))
def test_no_line_breaks_the_protocol(lines):
    playing = engine(size=3)
    for line in lines:
        number, words = command_words(line)
        answer = playing.reply(line)
        if not words:
            assert answer == ""
            continue
        assert answer[0] in "=?"
        assert answer[1:].startswith(f"{number} ")
        assert answer.index("\n\n") == len(answer) - 2
        assert (words[0] in playing._commands) or answer[0] == "?"
    board = told(playing, "showboard")[0]
    assert board.count("\n") == playing._game.board_size + 2


@settings(max_examples=100, deadline=None)
@given(
    st.integers(3, 5),
    st.lists(st.tuples(st.sampled_from([BLUE, RED]), st.integers(0, 24)), max_size=30),
)
def test_a_game_is_its_stones_and_undo_takes_each_back(size, tries):
    game, model = Game(size), {}
    for colour, cell in tries:
        cell %= size * size
        if cell in model:
            with pytest.raises(Refused, match="occupied"):
                game.play(colour, cell_name(cell, size))
            continue
        game.play(colour, cell_name(cell, size))
        model[cell] = colour
    assert {cell: colour for cell, colour in enumerate(game.stones) if colour} == model
    for cell in reversed(model):
        assert game.stones[cell] == model[cell]
        game.undo()
        assert game.stones[cell] == EMPTY
    assert game.winner == EMPTY
    with pytest.raises(Refused, match="no move"):
        game.undo()


def test_a_swap_reflects_the_stone_and_can_be_taken_back():
    game = Game(5)
    game.play(BLUE, "b1")
    assert game.can_swap
    game.play(RED, "swap-pieces")
    assert [(cell_name(c, 5), s) for c, s in enumerate(game.stones) if s] == [("a2", RED)]
    game.undo()
    assert [(cell_name(c, 5), s) for c, s in enumerate(game.stones) if s] == [("b1", BLUE)]
    game.play(RED, "swap-sides")
    game.play(RED, "c3")
    assert (game.stones != EMPTY).sum() == 2


def test_long_lines_are_refused_and_the_next_is_read():
    answers = io.BytesIO()
    commands = b"play b " + b"a" * 5 * LONGEST_LINE + b"\nname\n" + b"x" * (LONGEST_LINE - 1)
    serve(engine(), io.BytesIO(commands), answers)
    long, name, unknown = answers.getvalue().decode().split("\n\n")[:3]
    assert long == f"? the line is longer than {LONGEST_LINE} bytes"
    assert name == "= hexlib"
    assert unknown.startswith("? unknown command: xxx")


def test_colours_and_their_names_agree():
    assert {COLOURS[name]: name for name in COLOUR_NAME.values()} == COLOUR_NAME
    assert COLOUR_NAME[BLUE] == "black"  # who moves first


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("htp") / "net.pt"
    save_checkpoint(path, Checkpoint(random_network(Net(blocks=1, channels=8), 0), [4]))
    return path


@pytest.fixture(scope="module")
def player(checkpoint):
    return Player(checkpoint, Inference(device="cpu"), batch=1)


def test_a_thought_is_of_all_its_simulations(player):
    (thought,) = player.think_of(positions_after(4, [[5]]), 64)
    assert thought.visits.sum() == 64
    assert thought.visits[5] == 0
    assert (np.isnan(thought.values) == (thought.visits == 0)).all()
    assert thought.visits[thought.move] == thought.visits.max()
    assert thought.value == thought.values[thought.move]
    (raw,) = player.think_of(positions_after(4, [[5]]), 0)
    assert raw.visits.sum() == 0
    assert np.isnan(raw.values).all()


def test_thoughts_do_not_depend_on_the_batch(checkpoint, player):
    many = Player(checkpoint, Inference(device="cpu", precision="float32"))
    few = Player(checkpoint, Inference(device="cpu", precision="float32"), batch=1)
    positions = positions_after(4, [[5], [6, 9], [0, 15, 3]])
    for a, b in zip(many.think_of(positions, 32), few.think_of(positions, 32), strict=True):
        assert (a.move, a.visits.tolist()) == (b.move, b.visits.tolist())
        assert a.value == pytest.approx(b.value, abs=1e-5)


def test_the_first_move_under_the_swap_rule_is_the_most_even(player):
    board = np.zeros((16, 16), np.int8)
    # What red, who is to move, sees after each first move: the turned board with blue's stone.
    for cell in range(16):
        board[cell, (cell % 4) * 4 + cell // 4] = 2
    values = player._evaluator(4)(board)[1]
    assert player.even_opening(4)[0] == np.abs(values).argmin()


def test_games_against_itself_end_as_the_board_says(player):
    playing = Engine(player, 4, 16)
    moves = []
    while told(playing, "final_score")[0][0] == "?":
        moves.append(told(playing, f"genmove {['b', 'w'][len(moves) % 2]}")[0][2:])
    record = standing_after(4, [cell_index(move, 4) for move in moves])
    assert told(playing, "final_score") == [f"= {'B' if record.winner == BLUE else 'W'}+"]


def test_the_command_plays_and_ends_on_a_signal(checkpoint):
    command = [sys.executable, "-m", "hexlib.cli", "htp", "--checkpoint", checkpoint]
    with subprocess.Popen(
        [*command, "--simulations", "8", "--device", "cpu"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    ) as process:
        for line, start in [("genmove black", "= "), ("genmove white", "= "), ("undo", "= ")]:
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().decode().startswith(start)
            assert process.stdout.readline() == b"\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM
    with subprocess.Popen(
        [*command, "--simulations", "0", "--device", "cpu"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    ) as process:
        process.stdout.close()  # nobody listens
        process.stdin.write(b"name\n")
        process.stdin.flush()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""
    assert cli.main(["htp", "--checkpoint", str(checkpoint), "--simulations", "-1"]) == 2
