"""Tell how far a run is."""

import argparse
import sys
import time
from pathlib import Path

from hexlib.options import common_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "run_dir",
        nargs="?",
        default="results/default",
        metavar="RUN_DIR",
        help="Default: results/default.",
    )
    parser.add_argument("--watch", action="store_true", help="Say it again every two seconds.")
    parser.add_argument("--logs", metavar="D", help="Folder of the logs. Default: logs/RUN.")
    common_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from rich.console import Console
    from rich.live import Live

    from hexlib.status import in_bars, in_lines, status_of

    folder = Path(arguments.run_dir)
    logs = Path(arguments.logs or Path("logs") / folder.name)
    if not sys.stdout.isatty():
        print("\n".join(in_lines(status_of(folder, logs))), flush=True)
        while arguments.watch:
            time.sleep(2)
            print("\n".join(in_lines(status_of(folder, logs))), flush=True)
        return
    console = Console(highlight=False)
    if not arguments.watch:
        console.print(in_bars(status_of(folder, logs)))
        return
    with Live(in_bars(status_of(folder, logs)), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(2)
            live.update(in_bars(status_of(folder, logs)), refresh=True)
