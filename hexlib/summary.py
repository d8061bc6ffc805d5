"""What a finished run says for itself, in a few lines."""

from pathlib import Path
from typing import Any

from hexlib import files


def summary(run_dir: Path | str) -> str:
    """What a run has made so far, how strong it is and where to read more: a few lines of text.

    Reads the products of the last generation that has a checkpoint, and leaves out what has not
    been measured.
    """
    run = Path(run_dir)
    trained = sorted(run.glob("gen_*/train/lineage.json"))
    if not trained:
        return f"{run}: no checkpoint yet; `snakemake --cores 2 train` makes one"
    generation = trained[-1].parents[1]
    lineage = files.read_json(trained[-1])
    lines = [
        f"Made {generation}/train/checkpoint.pt, generation {lineage['generation']}:"
        f" trained on {lineage['rows_window']:,} of {lineage['rows_made']:,} positions.",
        *_if_there(generation / "evaluate/solved.json", _solved),
        *_if_there(generation / "evaluate/match.json", _match),
    ]
    page = run / "report/index.html"
    lines.append(
        f"Report: {page}" if page.exists() else "Report: `snakemake --cores 2 report` makes it."
    )
    return "\n".join(lines)


def _if_there(path: Path, say: Any) -> list[str]:
    """The lines of `say` about a JSON file; none if there is no such file."""
    return say(files.read_json(path)) if path.exists() else []


def _solved(result: dict[str, Any]) -> list[str]:
    names = {
        "raw": "the network alone",
        "search": f"a search of {result['simulations']} simulations",
    }
    lines = []
    for key, name in names.items():
        figures = result[key]
        if figures and figures.get("move_accuracy") is not None:
            openings = ""
            if "openings" in figures:
                openings = f" and of {figures['openings_right']} of {figures['openings']} openings"
            lines.append(
                f"On solved positions {name} keeps the win in {figures['move_accuracy']:.1%}"
                f" and knows the winner of {figures['value_accuracy']:.1%}{openings}."
            )
    return lines


def _match(result: dict[str, Any]) -> list[str]:
    low, high = result["interval"]
    return [
        f"Against the generation before it won {result['a_wins']} of {result['games']} games:"
        f" {result['score']:.1%} (95 % interval {low:.1%} to {high:.1%})."
    ]
