"""How strong each generation is: Elo, solved positions, matches and the first move."""

import numpy as np
import pandas as pd

from hexlib.ladder import wilson
from hexlib.pages.board import openings_of
from hexlib.stages.report.charts import Chart, Series, line_chart
from hexlib.stages.report.read import Run, first_player, last_with
from hexlib.stages.report.words import UNKNOWN, Section, Table, digest, floats, percent


def strength(run: Run) -> Section:
    """Elo, solved positions, and the matches."""
    charts, folded = [], []
    if run.ladder is not None and len(run.ladder):
        charts.append(_elo_chart(run))
        folded.append(_elo_table(run.ladder))
    judged = [(one, one.solved) for one in run.generations if one.solved]
    if judged:
        x = np.array([one.number for one, _ in judged])
        for title, key in [
            ("Solved positions: winner", "value_accuracy"),
            ("Solved positions: move", "move_accuracy"),
        ]:
            pair = [
                Series(label, x, floats(getattr(getattr(solved, way), key) for _, solved in judged))
                for way, label in [("search", "with search"), ("raw", "network alone")]
            ]
            if not any(np.isfinite(one.y).any() for one in pair):
                continue
            what = (
                "whose winner is judged rightly" if "winner" in title else "won by the move chosen"
            )
            charts.append(line_chart(title, f"Share of positions {what}.", pair, percent=True))
        folded.append(_solved_table(run))
    matches = _match_table(run)
    return Section(
        "strength",
        "Strength by generation",
        "Elo counts from the first player, at 0; 95% intervals grow along the chain of matches.",
        empty="" if charts or matches.rows else "No generation has been evaluated yet.",
        charts=charts,
        tables=[matches] if matches.rows else [],
        folded=folded,
    )


def _elo_chart(run: Run) -> Chart:
    assert run.ladder is not None
    numbers = {one.name: one.number for one in run.generations}
    start = min(numbers.values()) - 1
    first = first_player(run.ladder)
    shown = run.ladder[[name in numbers or name == first for name in run.ladder.generation]]
    x = np.array([numbers.get(name, start) for name in shown.generation])
    order = np.argsort(x)
    columns = [shown[key].to_numpy(float)[order] for key in ("elo", "elo_low", "elo_high")]
    named = None if first in numbers else (float(start), first)
    return line_chart(
        "Elo",
        f"With 95% intervals, {first} = 0.",
        [Series("Elo", x[order], *columns)],
        first_tick=named,
    )


def _elo_table(ladder: pd.DataFrame) -> Table:
    rows = [
        [
            str(row.generation),
            digest(None if pd.isna(row.checkpoint) else str(row.checkpoint)),
            f"{row.elo:+,.0f}",
            f"{row.elo_low:+,.0f} to {row.elo_high:+,.0f}",
            f"{row.games:,.0f}",
            f"{row.score:.1%}",
        ]
        for _, row in ladder.iterrows()
    ]
    headers = ["player", "checkpoint", "Elo", "95% interval", "games", "score"]
    return Table("Ladder", headers, rows)


def _solved_table(run: Run) -> Table:
    rows = []
    for one in run.generations:
        if one.solved is None:
            continue
        raw, search = one.solved.raw, one.solved.search
        right = [
            f"{way.openings_right} of {way.openings}" if way.openings else UNKNOWN
            for way in (raw, search)
        ]
        rows.append(
            [
                one.name,
                f"{one.solved.count:,}",
                f"{one.solved.simulations:,}",
                *map(percent, [raw.value_accuracy, search.value_accuracy]),
                *map(percent, [raw.move_accuracy, search.move_accuracy]),
                *right,
            ]
        )
    headers = ["generation", "positions", "simulations", "winner", "winner, search", "move"]
    headers += ["move, search", "openings", "openings, search"]
    return Table("Solved positions", headers, rows)


def _match_table(run: Run) -> Table:
    rows = []
    for one in run.generations:
        if (match := one.match) is None:
            continue
        low, high = match.interval or wilson(match.a_wins, match.games)
        rows.append(
            [
                f"{match.a.name} – {match.b.name}",
                f"{match.games:,}",
                f"{match.a_wins:,} – {match.games - match.a_wins:,}",
                percent(match.a_wins / match.games),
                f"{low:.1%} to {high:.1%}",
                *(
                    UNKNOWN if n is None else f"{n:,}"
                    for n in (match.a_wins_as_blue, match.a_wins_as_red)
                ),
                UNKNOWN if match.simulations is None else f"{match.simulations:,}",
            ]
        )
    headers = ["match", "games", "result", "score", "95% interval (Wilson)"]
    return Table("Matches", [*headers, "won as blue", "won as red", "simulations"], rows)


def openings(run: Run) -> Section:
    """The value of blue's first move on each cell, as the last network judges it."""
    section = Section("openings", "The first move")
    last = last_with(run, "solved")
    if last is None or last.solved is None or last.solved.opening_values is None:
        section.empty = "No generation has judged the first moves yet."
        return section
    solved = last.solved
    assert solved.opening_values is not None
    heat = openings_of(solved.board_size, solved.opening_values, solved.opening_truth)
    section.openings = heat
    known = heat.solved
    best = f"{heat.best.cell.name} ({heat.best.value:+.2f})"
    section.intro = (
        f"What the network of {last.name} gives blue for opening on each cell, from −1 (red wins)"
        f" to +1 (blue wins); highest at {best}. Blue owns top and bottom, red left and right."
    )
    verdict = (
        f" Of {len(known)} solved openings it judges {len(known) - len(heat.wrong)} rightly."
        if known
        else " No solution of this board is known."
    )
    section.intro += verdict
    section.openings_description = (
        f"Hexagonal board of {solved.board_size} by {solved.board_size} cells with the value of"
        f" blue's first move on each; highest at {best}.{verdict} The table below gives every cell."
    )
    words = {1: "blue wins", -1: "red wins", None: UNKNOWN}
    rows = [
        [one.cell.name, f"{one.value:+.2f}", words[one.truth], "no" if one.wrong else "yes"]
        if known
        else [one.cell.name, f"{one.value:+.2f}"]
        for one in heat.cells
    ]
    headers = ["first move", "value for blue", *(["solved", "judged rightly"] if known else [])]
    section.folded = [Table("First moves", headers, rows)]
    return section
