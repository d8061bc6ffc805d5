"""Train a network on buckets."""

import argparse
from pathlib import Path

from hexlib import settings
from hexlib.options import add_options, common_options, on_corrupt_of, section_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "--source",
        nargs="+",
        required=True,
        metavar="D",
        help="Folders of buckets, oldest first; the last one holds this generation's.",
    )
    parser.add_argument(
        "--state", metavar="S", help="state.pt of the training before, whose optimiser goes on."
    )
    common_options(
        parser,
        *("checkpoint", "output_dir", "generation", "seed"),
        *("progress_dir", "keep_progress", "on_corrupt"),
    )
    add_options(parser, settings.Train, {"decay_generations"})
    add_options(parser, settings.Window, {"generations", "asynchronous"}, "window_")
    add_options(parser, settings.Inference)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.stages import train

    output_dir = Path(arguments.output_dir)
    train.run(
        [Path(source) for source in arguments.source],
        Path(arguments.checkpoint),
        output_dir,
        section_of(arguments, settings.Train),
        section_of(arguments, settings.Window, "window_"),
        section_of(arguments, settings.Inference),
        state=Path(arguments.state) if arguments.state else None,
        generation=arguments.generation,
        seed=arguments.seed,
        progress_dir=Path(arguments.progress_dir or output_dir / ".progress"),
        keep_progress=arguments.keep_progress,
        on_corrupt=on_corrupt_of(arguments),
    )
