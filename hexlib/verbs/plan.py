"""Tell what a run will make, and the disk that it will need."""

import argparse

from hexlib.options import common_options

SETTINGS = "config/config.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("--json", action="store_true", help="As JSON; sizes are in bytes.")
    common_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    import json
    from dataclasses import asdict

    from hexlib.config import read_config
    from hexlib.plan import in_words, plan

    planned = plan(read_config(arguments.config or SETTINGS))
    if not arguments.json:
        print("\n".join(in_words(planned)))
        return
    disk = {"kept": planned.kept, "most": planned.most, "items": list(map(asdict, planned.items))}
    generations = list(map(asdict, planned.generations))
    print(json.dumps({"generations": generations, "disk": disk}, indent=2))
