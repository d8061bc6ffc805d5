"""`config/schema.yaml` and the table of `config/README.md`, written from the settings.

`python -m hexlib.reference` writes both anew; a test fails when they are not current.
"""

from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from hexlib import files
from hexlib.run_config import Config
from hexlib.settings import CurriculumStep, Section, Source, Value

CONFIG_FOLDER = Path(__file__).parents[1] / "config"

INTRODUCTION = """\
# Settings

`config.yaml` is read on every run; `--configfile OVERLAY.yaml` changes some of its keys, and the
files in `presets/` set all of them that matter for another board. A single key can be changed on
the command line, after the target: `snakemake --cores 6 train --config seed=7`. A key that is not
in this table is an error. The effective settings of a run, defaults filled in, are written to
`RESULTS_DIR/RUN/config.yaml`.

This table is generated: change `hexlib/settings.py`, or `hexlib/run_config.py` for the keys of no
section, and run `make schema`.
"""

BOUNDS = {
    "ge": "≥ {}",
    "gt": "> {}",
    "le": "≤ {}",
    "lt": "< {}",
    "multiple_of": "multiple of {}",
    "pattern": "like `{}`",
}


def schema() -> str:
    """The JSON schema of the configuration, as YAML."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Config.model_json_schema(),
    }
    head = "# Generated from hexlib/run_config.py by `make schema`.\n"
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def table() -> str:
    """`config/README.md`: every key with its default, its bounds and its meaning."""
    lines = [INTRODUCTION, "| key | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for key, field in _keys(Config):
        default = yaml.safe_dump(field.default, default_flow_style=True).split("\n")[0]
        cells = [f"`{key}`", f"`{default}`", _allowed(field), field.description or ""]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _keys(model: type[Section], prefix: str = "") -> list[tuple[str, FieldInfo]]:
    """All keys below a section with their full names, in the order in which they are defined."""
    keys: list[tuple[str, FieldInfo]] = []
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            keys += _keys(kind, f"{prefix}{name}.")
        else:
            keys.append((prefix + name, field))
    return keys


def _allowed(field: FieldInfo) -> str:
    """The type and the bounds of a key, in words."""
    described: dict[Any, str] = {
        int: "integer",
        float: "number",
        str: "text",
        bool: "true or false",
        str | None: "text or null",
        list[int]: "list of integers",
        list[str]: "list of texts",
        dict[str, list[Value]]
        | list[dict[str, Value]]: "lists of values by key, or list of trials",
        list[Source]: f"list of paths, or of `{'`, `'.join(Source.model_fields)}`",
        list[CurriculumStep]: "list of board_size and generations",
    }
    choices = getattr(field.annotation, "__args__", ())
    kind = described.get(field.annotation) or " or ".join(map(str, choices))
    bounds = [
        words.format(getattr(rule, name))
        for rule in field.metadata
        for name, words in BOUNDS.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join([kind, *bounds])


def main() -> None:
    """Write both files."""
    files.write_text(CONFIG_FOLDER / "schema.yaml", schema())
    files.write_text(CONFIG_FOLDER / "README.md", table())


if __name__ == "__main__":
    main()
