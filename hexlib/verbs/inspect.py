"""Tell what any product is."""

import argparse
from pathlib import Path

from hexlib.options import common_options
from hexlib.printing import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("file", metavar="FILE", help="A product: .pt, .npz, .trmph or .json.")
    parser.add_argument(
        "--lineage",
        action="store_true",
        help="Walk back from a checkpoint to its ancestors, their games and what made them.",
    )
    parser.add_argument("--json", action="store_true", help="Print it as JSON.")
    common_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    if arguments.lineage:
        from hexlib.lineage import lineage

        say({"lineage": lineage(Path(arguments.file))}, arguments.json)
        return
    from hexlib.inspection import inspect

    say(inspect(Path(arguments.file)), arguments.json)
