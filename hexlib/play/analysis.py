"""A given game with every move judged."""

from collections.abc import Sequence
from dataclasses import dataclass

from hexlib.errors import BadInput
from hexlib.game.board import BLUE, RED
from hexlib.game.notation import COLOUR_NAME, cell_name
from hexlib.pages import render
from hexlib.pages.board import board_of
from hexlib.pages.games import Ply, ShownGame, shown_policy, shown_values
from hexlib.pages.tables import Table
from hexlib.search.player import Player
from hexlib.search.standing import standing_after

DOUBTFUL, BLUNDER = 0.10, 0.30  # of the chance to win, lost by a move


@dataclass(frozen=True)
class Judgement:
    """What a move was worth to the player who made it. Values run from −1 to 1, for him."""

    ply: int
    move: int
    best: int  # what the search would have played
    before: float  # value of the best move
    after: float  # value of the move that was made

    @property
    def lost(self) -> float:
        """How much of the chance to win, (1 + value) / 2, the move gave away; 0 at the least."""
        return max(0.0, self.before - self.after) / 2 if self.move != self.best else 0.0

    @property
    def mark(self) -> str:
        """`blunder`, `doubtful` or nothing."""
        return "blunder" if self.lost >= BLUNDER else "doubtful" if self.lost >= DOUBTFUL else ""


def analyse(
    player: Player, size: int, moves: Sequence[int], simulations: int, source: str
) -> tuple[ShownGame, list[Judgement]]:
    """Judge every move of a game, finished or not, by a search of each of its positions.

    Raises BadInput that names `source` for a game without moves or with an illegal one.
    """
    try:
        standings = [standing_after(size, moves[:ply]) for ply in range(len(moves) + 1)]
    except ValueError as error:
        raise BadInput(f"{source}: {error}") from None
    if not moves:
        raise BadInput(f"{source}: a game without moves has nothing to judge")
    last = standings[-1]
    thoughts = player.think([one for one in standings if not one.winner], simulations)
    values = [thought.value for thought in thoughts] + [-1.0] * bool(last.winner)
    judged, plies = [], []
    for ply, thought in enumerate(thoughts):
        sign = 1 if ply % 2 == 0 else -1
        cells = thought.policy.nonzero()[0]
        shown = Ply(
            sign * thought.value,
            shown_policy(cells, thought.policy[cells]),
            thought.move,
            thought.line,
            shown_values(thought.values),
        )
        plies.append(shown)
        if ply < len(moves):
            swap = ply == 1 and moves[1] == moves[0]  # the search knows no swap
            best = moves[ply] if swap else thought.move
            one = Judgement(ply, moves[ply], best, values[ply], -values[ply + 1])
            judged.append(one)
            shown.mark = one.mark
            shown.note = _in_words(one, size)
    if last.winner:
        plies.append(Ply(1.0 if last.winner == BLUE else -1.0))
    ending = f"{COLOUR_NAME[last.winner]} wins" if last.winner else "not finished"
    title = f"{size}×{size} game of {len(moves)} moves, {ending}"
    return ShownGame(title, source, size, list(moves), last.winner, plies), judged


def page(game: ShownGame, judged: Sequence[Judgement], player: str, simulations: int) -> str:
    """The page of an analysed game, as HTML."""
    blunders = dict.fromkeys((BLUE, RED), 0)
    for one in judged:
        blunders[BLUE + one.ply % 2] += one.mark == "blunder"
    rows = [
        [
            f"{one.ply + 1}",
            COLOUR_NAME[BLUE + one.ply % 2],
            cell_name(one.move, game.size),
            cell_name(one.best, game.size),
            *(f"{(1 + value) / 2:.0%}" for value in (one.before, one.after)),
            f"{one.lost:.0%}",
            one.mark,
        ]
        for one in judged
    ]
    headers = [
        "move",
        "player",
        "played",
        "best",
        "chance before",
        "after",
        "given away",
        "verdict",
    ]
    return render(
        "analysis.html",
        ("board.js", "viewer.js"),
        game=game,
        board=board_of(game.size),
        intro=(
            f"Judged by {player} with {simulations:,} simulations a position. A move that gives"
            f" away {DOUBTFUL:.0%} of the chance to win is doubtful (?), {BLUNDER:.0%} a blunder"
            f" (??). Blunders: blue {blunders[BLUE]}, red {blunders[RED]}. The best next move is"
            " outlined."
        ),
        judgements=Table("Every move, with the chances of the player who makes it", headers, rows),
    )


def _in_words(one: Judgement, n: int) -> str:
    before, after = (f"{(1 + value) / 2:.0%}" for value in (one.before, one.after))
    verdict = {"": "", "doubtful": " Doubtful.", "blunder": " A blunder."}[one.mark]
    if one.move == one.best:
        return f"The best move ({after} to win)."
    return f"His chance goes from {before} to {after}; best was {cell_name(one.best, n)}.{verdict}"
