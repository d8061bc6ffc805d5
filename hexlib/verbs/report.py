"""Write the page that shows how a run went."""

import argparse
from pathlib import Path

from hexlib import logs
from hexlib.options import common_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("run_dir", metavar="RUN_DIR", help="Such as results/default.")
    parser.add_argument("--logs", metavar="D", help="Of its jobs, such as logs/default.")
    common_options(parser, "output")


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from hexlib.stages import report

    logs_dir = Path(arguments.logs) if arguments.logs else None
    report.run(Path(arguments.run_dir), Path(arguments.output), logs_dir)
    logs.log.info(f"report: {arguments.output}")
