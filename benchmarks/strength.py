"""Strength: checkpoints against networks that others have trained, each on its own board size."""

import importlib.metadata
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import common
from opponents.hexgame import NAME, SIZES, HexgameNetwork

from hexlib.nn.checkpoint import load_checkpoint
from hexlib.nn.device import choose
from hexlib.settings import Inference
from hexlib.stages.evaluate.match import match
from hexlib.stages.evaluate.sides import checkpoint_side, network_side

AT_ONCE = 128  # games
NOTES = """\
Both sides think equally long: "raw" plays the move that the policy prefers, otherwise both search
with our search, without noise. Every opening is played twice, with colours exchanged: first every
first move, then pairs of moves that both networks together call nearly even. Intervals are
Wilson's, of 95 %. The opponents are the networks that `benchmarks/opponents/hexgame.py` plays
through HTP."""


def main() -> None:
    """Play and print."""
    parser = common.start(__doc__)
    parser.add_argument("--checkpoint", nargs="*", type=Path, default=[], metavar="C")
    parser.add_argument("--games", type=int, default=200, metavar="N", help="Of each match.")
    parser.add_argument(
        "--simulations", nargs="+", type=int, default=[0, 64], metavar="N", help="0: raw."
    )
    arguments = parser.parse_args()
    games = 4 if arguments.quick else arguments.games
    header = [
        "board",
        "checkpoint",
        "blocks × channels",
        "thinking",
        "games",
        "won",
        "score",
        "interval",
    ]
    rows = [
        row
        for checkpoint in arguments.checkpoint
        for row in measured(checkpoint, arguments.simulations, games)
    ]
    title = f"Strength against {NAME}"
    common.publish("strength", title, [common.table(header, rows), NOTES], arguments.write)


def measured(checkpoint: Path, thinking: list[int], games: int) -> Iterator[list[str]]:
    """A row of the table for each number of simulations."""
    loaded = load_checkpoint(checkpoint)
    size, net = loaded.board_sizes[-1], loaded.network.settings
    shape = f"{net.blocks} × {net.channels}"
    start = [f"{size}×{size}", checkpoint.as_posix(), shape]
    device = choose(Inference(device="cpu"))
    for simulations in thinking:
        how = f"{simulations} simulations" if simulations else "raw"
        if size not in SIZES or importlib.util.find_spec("hexgame_server") is None:
            why = common.MISSING if size in SIZES else "no network of this size"
            yield [*start, how, "–", "–", why, "–"]
            continue
        ours = checkpoint_side(checkpoint, size, simulations, AT_ONCE, device)
        version = f"{NAME} {importlib.metadata.version(NAME)}"
        theirs = network_side(version, HexgameNetwork(size), size, simulations, AT_ONCE)
        result = match(ours, theirs, size, games, seed=0)
        low, high = result["interval"]
        yield [
            *start,
            how,
            f"{result['games']}",
            f"{result['a_wins']}",
            f"{result['score']:.1%}",
            f"{low:.1%} to {high:.1%}",
        ]


if __name__ == "__main__":
    main()
