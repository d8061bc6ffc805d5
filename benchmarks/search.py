"""How a player searches: one network against itself, with other constants of the search."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import common

from hexlib.files import sha256
from hexlib.nn.cache import CachedEvaluator
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.search.gumbel import GumbelSearch
from hexlib.settings import Inference
from hexlib.stages.evaluate.match import match
from hexlib.stages.evaluate.sides import CACHE_SIZE, SearchSide

AT_ONCE = 256  # games
HEADER = (
    *("board", "simulations", "considered,c_scale", "against"),
    *("games", "score", "interval", "pairs won", "split", "lost"),
)
NOTES = """\
Both sides have the same network and ask it equally often. Every opening is played twice, with
colours exchanged; most pairs are split, so that what tells is how many more were won than lost.
Intervals are Wilson's, of 95 %, as if games were independent."""


class Constants(NamedTuple):
    """See `GumbelSearch`."""

    considered: int
    c_scale: float

    def __str__(self) -> str:
        return f"{self.considered},{self.c_scale:g}"


def constants(text: str) -> Constants:
    """Read `8,0.2`."""
    try:
        considered, c_scale = text.split(",")
        return Constants(int(considered), float(c_scale))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 8,0.2") from None


def main() -> None:
    """Play and print."""
    parser = common.start(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="C")
    searches = {"type": constants, "metavar": "CONSIDERED,C_SCALE"}
    parser.add_argument("--search", nargs="+", required=True, **searches)
    parser.add_argument("--against", default="16,0.1", **searches)
    parser.add_argument("--simulations", nargs="+", type=int, default=[64], metavar="N")
    parser.add_argument("--games", type=int, default=800, metavar="N", help="Of each match.")
    arguments = parser.parse_args()
    games = 4 if arguments.quick else arguments.games
    table = common.table(HEADER, measured(arguments, games))
    common.publish("search", "How a player searches", [table, NOTES], arguments.write)


def measured(arguments: argparse.Namespace, games: int) -> Iterator[list[str]]:
    """A row of the table for each search and number of simulations."""
    loaded = load_checkpoint(arguments.checkpoint)
    size, digest = loaded.board_sizes[-1], sha256(arguments.checkpoint)
    evaluator = Evaluator(loaded.network, size, choose(Inference(device="cpu")))

    def side(which: Constants, simulations: int) -> SearchSide:
        search = GumbelSearch(AT_ONCE, size, simulations, noise_scale=0, **which._asdict())
        cached = CachedEvaluator(evaluator, CACHE_SIZE)
        return SearchSide(str(which), search, cached, digest, simulations)

    for simulations in arguments.simulations:
        for which in arguments.search:
            sides = [side(which, simulations), side(arguments.against, simulations)]
            result = match(*sides, size, games, seed=0)
            low, high = result["interval"]
            yield [
                *(f"{size}×{size}", f"{simulations}", str(which), str(arguments.against)),
                *(f"{result['games']}", f"{result['score']:.1%}", f"{low:.1%} to {high:.1%}"),
                *(f"{count}" for count in result["pairs"].values()),
            ]


if __name__ == "__main__":
    main()
