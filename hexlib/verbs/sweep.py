"""Compare the trials of a sweep and take over the best."""

import argparse
from pathlib import Path

from hexlib import settings
from hexlib.options import add_options, common_options, section_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "trials", nargs="+", metavar="DIR", help="Folders of `hexlib train --trial`."
    )
    parser.add_argument(
        "--by",
        choices=("validation", "match"),
        default="validation",
        help="What makes a trial the best: its loss on held-out games, or games against the one"
        " that is best in that. Default: validation.",
    )
    common_options(parser, "output_dir", "seed")
    add_options(parser, settings.Evaluate, {"positions", "earlier_games", "anchor_games", "gate"})
    add_options(parser, settings.Inference)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.nn.checkpoint import load_checkpoint
    from hexlib.nn.device import choose
    from hexlib.stages.evaluate.match import match
    from hexlib.stages.evaluate.sides import checkpoint_side
    from hexlib.stages.train import sweep

    measure = section_of(arguments, settings.Evaluate)
    inference = section_of(arguments, settings.Inference)

    def play(a: Path, b: Path) -> float:
        size = load_checkpoint(a).board_sizes[-1]
        one, other = (
            checkpoint_side(path, size, measure.simulations, measure.batch_size, choose(inference))
            for path in (a, b)
        )
        return match(one, other, size, measure.games, arguments.seed)["score"]

    folders = [Path(trial) for trial in arguments.trials]
    sweep.choose(folders, Path(arguments.output_dir), play if arguments.by == "match" else None)
