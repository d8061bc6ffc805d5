"""Printing a result, for people or for programs."""

import argparse
import json
from typing import Any

from hexlib import files


def say(result: dict[str, Any], as_json: bool) -> None:
    """Print a result for people, or for programs."""
    print(json.dumps(result, indent=2) if as_json else "\n".join(in_words(result)))


def write_or_say(result: dict[str, Any], arguments: argparse.Namespace) -> None:
    """To `--output` if it is given, else, or with `--json` as well, to standard output."""
    if arguments.output:
        files.write_json(arguments.output, result)
    if arguments.json or not arguments.output:
        say(result, arguments.json)


def in_words(description: dict[str, Any], indent: str = "") -> list[str]:
    """Lines of `key: value` for people, nested ones indented, long lists cut."""
    lines = []
    for key, value in description.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *in_words(value, indent + "  ")]
            continue
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            for number, item in enumerate(value):
                lines += [f"{indent}{key} {number}:", *in_words(item, indent + "  ")]
            continue
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        if isinstance(value, list):
            shown = json.dumps(value)
        lines.append(f"{indent}{key}: {shown if len(shown) < 200 else shown[:200] + ' …'}")
    return lines
