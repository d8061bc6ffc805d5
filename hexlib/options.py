"""Command line options made from the settings, and those that mean the same in every verb."""

import argparse
from collections.abc import Container
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError

from hexlib import logs
from hexlib.config import read_config
from hexlib.errors import BadInput
from hexlib.settings import OnCorrupt, Section

SectionType = TypeVar("SectionType", bound=Section)


def add_options(
    parser: argparse.ArgumentParser,
    section: type[Section],
    leave_out: Container[str] = (),
    prefix: str = "",
) -> None:
    """Add an option for each key of a section; one that is not given is None."""
    group = parser.add_argument_group(f"settings of {section.__name__.lower()}")
    for key, field in section.model_fields.items():
        if key in leave_out:
            continue
        default = field.default
        shown = " ".join(map(str, default)) if isinstance(default, list) else default
        keywords: dict[str, Any] = {
            "dest": prefix + key,
            "default": None,
            "help": f"{field.description} Default: {shown}.".replace("%", "%%"),
        }
        if field.annotation is bool:
            keywords["action"] = argparse.BooleanOptionalAction
        elif get_origin(field.annotation) is list:
            keywords |= {"nargs": "+" if default else "*", "metavar": "X"}
        elif get_origin(field.annotation) is Literal:
            keywords["choices"] = get_args(field.annotation)
        else:
            keywords["metavar"] = "X"
        group.add_argument("--" + (prefix + key).replace("_", "-"), **keywords)


def section_of(
    arguments: argparse.Namespace, section: type[SectionType], prefix: str = ""
) -> SectionType:
    """The settings of a section: those of `--config`, if given, with the options on top."""
    base: dict[str, Any] = {}
    if getattr(arguments, "config", None):
        whole = read_config(arguments.config)
        base = getattr(whole, section.__name__.lower()).model_dump()
    for key in section.model_fields:
        value = getattr(arguments, prefix + key, None)
        if value is not None:
            base[key] = value
    try:
        checked = section.model_validate(base)
        logs.detail("settings of %s: %s", section.__name__.lower(), checked.model_dump())
        return checked
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + (prefix + str(first["loc"][0])).replace("_", "-")
        raise BadInput(f"{option}: {first['msg']}, but it is {first['input']!r}") from None


def common_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the options of these names, which mean the same in every verb, and --log."""
    known: dict[str, dict[str, Any]] = {
        "checkpoint": {"required": True, "metavar": "C", "help": "The network's checkpoint (.pt)."},
        "output": {"required": True, "metavar": "F", "help": "The file to write."},
        "output_dir": {"required": True, "metavar": "D", "help": "The folder to write into."},
        "board_size": {
            "type": int,
            "metavar": "N",
            "help": "Cells along a side. Default: that of the input.",
        },
        "generation": {"type": int, "default": 0, "metavar": "G", "help": "Default: 0."},
        "on_corrupt": {
            "choices": get_args(OnCorrupt),
            "help": "What a damaged input does: stop the command, or be left out. Default: stop.",
        },
        "seed": {"type": int, "default": 0, "metavar": "S", "help": "Default: 0."},
        "progress_dir": {
            "metavar": "D",
            "help": "Where unfinished work outlives a kill. Default: .progress beside the output.",
        },
        "keep_progress": {
            "action": "store_true",
            "help": "Leave that there at the end, for a caller who may lose the output to a kill.",
        },
    }
    for name in names:
        parser.add_argument("--" + name.replace("_", "-"), **known[name])
    if not any("--log" in action.option_strings for action in parser._actions):
        parser.add_argument("--log", metavar="F", help="Also write what is said to this file.")


def player_option(parser: argparse.ArgumentParser) -> None:
    """Add --checkpoint of a verb that people play with: they need none of their own."""
    parser.add_argument(
        "--checkpoint",
        metavar="C",
        help="The network's checkpoint (.pt). Default: the one that comes with hexlib.",
    )


def player_checkpoint(arguments: argparse.Namespace, board_size: int | None) -> Path:
    """The checkpoint asked for, or the one that comes with hexlib for a board, by default 7×7.

    Raises BadInput for a board size that is not played here.
    """
    from hexlib.game.board import check_size

    if board_size is not None:
        check_size(board_size)
    if arguments.checkpoint is not None:
        return Path(arguments.checkpoint)
    from hexlib.nn.checkpoint import shipped

    return shipped(7 if board_size is None else board_size)


def on_corrupt_of(arguments: argparse.Namespace) -> OnCorrupt:
    """What a damaged input does: as the option says, else `--config`, else the default."""
    if arguments.on_corrupt is not None:
        return arguments.on_corrupt
    config = getattr(arguments, "config", None)
    return read_config(config).on_corrupt if config else "stop"


def asked_board_size(arguments: argparse.Namespace, checkpoint: str | None = None) -> int:
    """The board size asked for, or the one that the checkpoint was last trained on."""
    if arguments.board_size is not None:
        return arguments.board_size
    from hexlib.nn.checkpoint import load_checkpoint

    return load_checkpoint(checkpoint or arguments.checkpoint).board_sizes[-1]
