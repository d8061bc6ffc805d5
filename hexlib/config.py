"""Reading and checking a configuration, and passing a section of it on to a command."""

import difflib
import shlex
from collections.abc import Container
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import ValidationError

from hexlib.errors import BadInput
from hexlib.run_config import Config
from hexlib.settings import Section

SectionType = TypeVar("SectionType", bound=Section)


def options(section: Section, leave_out: Container[str] = (), prefix: str = "") -> str:
    """Every key of a section as command line options, quoted for the shell.

    All are spelled out, so that a default that changes is seen as a change by Snakemake.
    """
    words: list[str] = []
    for key, value in section:
        option = (prefix + key).replace("_", "-")
        if key in leave_out:
            continue
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, list):
            words += [
                f"--{option}",
                *(one.model_dump_json() if isinstance(one, Section) else str(one) for one in value),
            ]
        else:
            words += [f"--{option}", str(value)]
    return shlex.join(words)


def _nearest(location: tuple[Any, ...], whole: type[Section]) -> str:
    """A hint that names the known key nearest to an unknown one."""
    name = str(location[-1])
    model: Any = whole
    for part in location[:-1]:
        in_list = isinstance(part, int)
        model = get_args(model)[0] if in_list else model.model_fields[part].annotation
    known = [field.alias or key for key, field in model.model_fields.items()]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {'.'.join(map(str, [*location[:-1], near[0]]))}?"
    for section, field in whole.model_fields.items():
        if name in getattr(field.annotation, "model_fields", {}):
            return f"did you mean {section}.{name}?"
    return f"known keys: {', '.join(known)}"


def _line(node: yaml.Node | None, key: tuple[str | int, ...]) -> int | None:
    """The line, from 1, on which a key, or an item of a list, stands below a node of YAML."""
    if isinstance(node, yaml.SequenceNode) and isinstance(key[0], int) and key[0] < len(node.value):
        item = node.value[key[0]]
        line = item.start_mark.line + 1
        return (_line(item, key[1:]) or line) if key[1:] else line
    for name, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if name.value == key[0]:
            return _line(value, key[1:]) if key[1:] else name.start_mark.line + 1
    return None


def _place(key: tuple[str | int, ...], sources: tuple[str, ...]) -> str:
    """`FILE:LINE` of a key in the last of the files that sets it, else what was read last."""
    for source in reversed(sources):
        try:
            line = _line(yaml.compose(Path(source).read_text()), key)
        except (OSError, yaml.YAMLError):
            continue
        if line:
            return f"{source}:{line}"
    return sources[-1]


def explain(
    error: ValidationError, sources: tuple[str, ...], whole: type[Section] = Config
) -> BadInput:
    """The first problem of a validation, in one line: file, line, key and remedy."""
    first = error.errors()[0]
    location = first["loc"]
    key = ".".join(str(part) for part in location)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        problem = f"unknown key {key}; {_nearest(location, whole)}"
    elif first["type"] == "missing":
        problem = f"{key}: is wanted here"
    elif key:
        found = "" if isinstance(first["input"], dict) else f", but it is {first['input']!r}"
        problem = f"{key}: {message}{found}"
    else:  # a check across keys, whose message starts with the key to change
        problem, location = message, tuple(message.split(":")[0].split("."))
    return BadInput(f"{_place(location, sources)}: {problem}")


def checked(whole: type[SectionType], data: dict[str, Any], *sources: str) -> SectionType:
    """`data` as the sections of `whole`; raises `BadInput` as `explain` words it."""
    try:
        return whole.model_validate(data)
    except ValidationError as error:
        raise explain(error, sources, whole) from None


def validate(data: dict[str, Any], *sources: str) -> Config:
    """The checked configuration with its defaults filled in.

    `data` as read from YAML or from Snakemake's `config`; numbers may be strings, as
    `--config seed=7` gives them, and a section without a key is the default one. `sources` are
    the files that it was merged from, later ones winning, for the place in errors (`BadInput`).
    """
    given = {key: value for key, value in data.items() if value is not None}
    return checked(Config, given, *sources)


def read_config(*paths: Path | str) -> Config:
    """Read and check a configuration; later files change keys of earlier ones, as in Snakemake."""
    data: dict[str, Any] = {}
    for path in paths:
        data = _changed(data, read_yaml(path))
    return validate(data, *map(str, paths))


def _changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`old` with the values of `new`; of sections in both, only the keys that `new` has."""
    return old | {
        key: _changed(old[key], value)
        if isinstance(value, dict) and isinstance(old.get(key), dict)
        else value
        for key, value in new.items()
    }


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The keys and values of a file; raises `BadInput` where it has none or is no YAML."""
    try:
        data = yaml.safe_load(Path(path).read_text()) or {}
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise BadInput(f"{path}: holds {type(data).__name__}, where keys and values are wanted")
    return data
