"""Check records, drop duplicates, split into chunks."""

import argparse
from pathlib import Path

from hexlib import logs, settings
from hexlib.options import add_options, common_options, on_corrupt_of, section_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="Files, or folders of any depth."
    )
    common_options(parser, "output_dir", "on_corrupt")
    parser.add_argument("--board-size", type=int, default=7, metavar="N", help="Default: 7.")
    parser.add_argument(
        "--chunks", type=int, metavar="N", help="Number of chunks, in place of --chunk-size."
    )
    add_options(parser, settings.Clean)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.stages import clean

    summary = clean.run(
        [Path(path) for path in arguments.inputs],
        Path(arguments.output_dir),
        arguments.board_size,
        section_of(arguments, settings.Clean),
        arguments.chunks,
        on_corrupt_of(arguments),
    )
    logs.log.info(
        f"clean: {summary['records']:,} records, {summary['kept']:,} kept,"
        f" {summary['duplicates']:,} duplicates, {summary['rejected']:,} rejected"
        + (f", {len(summary['set_aside'])} damaged files set aside" if summary["set_aside"] else "")
    )
