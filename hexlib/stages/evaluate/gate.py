"""The gatekeeper: which checkpoint the next generation plays with."""

from pathlib import Path

from hexlib import files
from hexlib.errors import BadInput

PASSES = 0.5  # score from which a generation is used


def write_champion(match_file: Path, newer: Path, older: Path, output: Path) -> bool:
    """Copy `newer` to `output` if it scored at least half in the match, else `older`.

    All three are checkpoints. Returns whether the newer one passed. Raises BadInput where the match
    is not between these two.
    """
    result = files.read_json(match_file)
    try:
        players = (result["a"]["sha256"], result["b"]["sha256"])
        passed = bool(result["a_wins"] >= PASSES * result["games"])
    except (KeyError, TypeError):
        raise BadInput(f"{match_file}: not a match; remove it and evaluate again") from None
    if players != (files.sha256(newer), files.sha256(older)):
        raise BadInput(f"{match_file}: a match of others; evaluate {newer} against {older} again")
    with files.atomic(output) as handle:
        handle.write((newer if passed else older).read_bytes())
    return passed
