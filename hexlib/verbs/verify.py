"""Tell which products of a run were altered since they were made."""

import argparse
from pathlib import Path

from hexlib.options import common_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("run_dir", metavar="RUN_DIR", help="Such as results/default.")
    common_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.checksums import verify
    from hexlib.errors import BadInput

    verdict = verify(Path(arguments.run_dir))
    for word in ("altered", "missing"):
        for name in getattr(verdict, word):
            print(f"{word}: {Path(arguments.run_dir) / name}")
    total = len(verdict.whole) + len(verdict.altered) + len(verdict.missing)
    if verdict.altered or verdict.missing:
        raise BadInput(
            f"{arguments.run_dir}: {len(verdict.altered)} of {total} products were altered and"
            f" {len(verdict.missing)} are missing; remove the altered ones and run the workflow,"
            " which makes them again"
        )
    print(f"{arguments.run_dir}: {total} products, all as they were made")
