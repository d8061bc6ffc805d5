"""How the games were and how the network learned from them."""

from typing import Any

import numpy as np
import pandas as pd

from hexlib.ladder import wilson
from hexlib.stages.report.ahead import SIMULATIONS
from hexlib.stages.report.charts import LOOKS, Chart, Series, line_chart
from hexlib.stages.report.read import Generation, Run
from hexlib.stages.report.words import UNKNOWN, Section, Table, floats, percent

POINTS = 400  # of a training curve in all, so that the page of a long run stays small


def training(run: Run) -> Section:
    """Curves over the samples of all generations, one after the other."""
    trained = [one for one in run.generations if one.metrics is not None and len(one.metrics)]
    section = Section("training", "Training")
    if not trained:
        section.empty = "No generation has been trained yet."
        return section
    whole, borders = _joined(trained)
    end = whole["x"].max()
    unit, word = (1e6, "million") if end >= 1e6 else (1e3, "thousand")
    borders = [border / unit for border in borders[1:]] if len(borders) <= 40 else []
    wanted = [
        ("Policy loss", "policy_loss", "Cross-entropy to the search's policy, in nats.", False),
        ("Value loss", "value_loss", "Loss of the value head.", False),
        ("Policy top 1", "policy_top1", "Share of positions whose likeliest move agrees.", True),
        ("Value accuracy", "value_accuracy", "Share of positions whose winner is foreseen.", True),
        ("Learning rate", "learning_rate", "At each step.", False),
        ("Gradient norm", "gradient_norm", "Before clipping.", False),
    ]
    charts = []
    for title, key, caption, share in wanted:
        series = [
            Series(label, points["x"].to_numpy() / unit, points[column].to_numpy())
            for label, column in [("training", key), ("validation", f"validation_{key}")]
            if column in whole and len(points := _thinned(whole, column, len(trained)))
        ]
        if series:
            charts.append(
                line_chart(
                    title,
                    caption,
                    series,
                    f"{word} samples",
                    percent=share,
                    zero=key == "learning_rate",
                    dividers=borders,
                )
            )
    section.intro = (
        "Each point is a mean over neighbouring steps; thin upright lines part the generations."
        if borders
        else "Each point is a mean over neighbouring steps."
    )
    tried = [one for one in run.generations if one.trials]
    if tried:
        charts.append(_trials_chart(tried[-1]))
    section.charts = charts
    section.folded = [_training_table(trained), *([_trials_table(tried)] if tried else [])]
    return section


def _trials_chart(one: Generation) -> Chart:
    """The loss of the trials of a generation; of the best, if there are too many to tell apart."""
    ranked = sorted(one.trials.items(), key=lambda item: _last(item[1], "validation_loss"))
    shown = sorted(ranked[: len(LOOKS)])
    caption = f"{one.name}, training loss" + (
        f" of the {len(shown)} best of {len(ranked)}." if len(shown) < len(ranked) else "."
    )
    series = []
    for name, metrics in shown:
        points = _thinned(metrics.assign(number=0, x=metrics["samples"] / 1e3), "loss", len(shown))
        series.append(Series(name, points["x"].to_numpy(), points["loss"].to_numpy()))
    return line_chart("Trials", caption, series, "thousand samples")


def _trials_table(tried: list[Generation]) -> Table:
    columns = ["validation_loss", "validation_policy_top1", "validation_value_accuracy"]
    rows = []
    for one in tried:
        for name, metrics in sorted(one.trials.items()):
            values = [_last(metrics, column) for column in columns]
            shown = [f"{value:.4f}" if np.isfinite(value) else UNKNOWN for value in values]
            rows.append([one.name, name, *shown])
    headers = ["generation", "trial", *(name.replace("_", " ") for name in columns)]
    return Table("Trials of the sweep", headers, rows)


def _last(metrics: pd.DataFrame, column: str) -> float:
    """The last value of a column that is one, else infinity."""
    known = metrics[column].dropna() if column in metrics else pd.Series(dtype=float)
    return float(known.iloc[-1]) if len(known) else float("inf")


def _joined(trained: list[Generation]) -> tuple[pd.DataFrame, list[float]]:
    """All metrics with a column `x`, samples over the whole run; and where generations start."""
    parts, borders, end = [], [], 0.0
    for one in trained:
        assert one.metrics is not None
        samples = one.metrics["samples"]
        # Samples count within a generation; a file that counts on is taken as it is.
        x = samples + end if samples.iloc[0] < end else samples
        parts.append(one.metrics.assign(x=x, number=one.number))
        borders.append(end)
        end = float(x.max())
    return pd.concat(parts, ignore_index=True), borders


def _thinned(whole: pd.DataFrame, column: str, generations: int) -> pd.DataFrame:
    """Means of `x` and `column` over runs of known steps, at most POINTS in all."""
    known = whole[["number", "x", column]].dropna()
    bins = max(2, POINTS // generations)
    place = known.groupby("number").cumcount()
    size = known.groupby("number")["x"].transform("size")
    return known.groupby(["number", place * bins // size.clip(lower=bins)]).mean()


def _training_table(trained: list[Generation]) -> Table:
    columns = ["policy_loss", "value_loss", "policy_top1", "value_accuracy"]
    columns += [f"validation_{name}" for name in columns]
    rows = []
    for one in trained:
        assert one.metrics is not None
        last = [
            one.metrics[name].dropna().iloc[-1:] if name in one.metrics else pd.Series(dtype=float)
            for name in columns
        ]
        steps = one.metrics["step"].max() if "step" in one.metrics else len(one.metrics)
        values = [f"{value.iloc[0]:.4f}" if len(value) else UNKNOWN for value in last]
        rows.append([one.name, f"{steps:,.0f}", *values])
    headers = ["generation", "steps", *(name.replace("_", " ") for name in columns)]
    return Table("Last values of each generation", headers, rows)


def selfplay(run: Run) -> Section:
    """How the games were."""
    played = [(one, one.clean) for one in run.generations if one.clean and one.clean.kept]
    section = Section("selfplay", "Self-play")
    if not played:
        section.empty = "No games have been cleaned yet."
        return section
    x = np.array([one.number for one, _ in played])
    blue = floats(clean.blue_wins / clean.kept for _, clean in played)
    low, high = np.array([wilson(clean.blue_wins, clean.kept) for _, clean in played]).T
    repeated = floats(clean.duplicates / max(clean.records, 1) for _, clean in played)
    length = floats(clean.mean_length for _, clean in played)
    shown = [played[0], played[-1]] if len(played) > 1 else [played[0]]
    charts = [
        line_chart(
            "Game length", "Mean number of moves of a kept game.", [Series("moves", x, length)]
        ),
        line_chart(
            "Blue's win rate",
            "Blue moves first; with 95% intervals (Wilson).",
            [Series("blue wins", x, blue, low, high)],
            percent=True,
        ),
        line_chart(
            "Duplicates",
            "Share of records that repeat a game.",
            [Series("duplicates", x, repeated)],
            percent=True,
            zero=True,
        ),
        line_chart(
            "Lengths of games",
            "Share of games by number of moves.",
            [_histogram(one, clean.length_histogram) for one, clean in reversed(shown)],
            "moves",
            percent=True,
            steps=True,
            zero=True,
        ),
    ]
    section.charts = charts + _pace_charts(run)
    rows = [
        [
            one.name,
            f"{clean.kept:,}",
            f"{clean.moves:,}",
            UNKNOWN if clean.mean_length is None else f"{clean.mean_length:.1f}",
            percent(clean.blue_wins / clean.kept),
            percent(clean.duplicates / max(clean.records, 1)),
        ]
        for one, clean in played
    ]
    headers = ["generation", "games", "moves", "mean length", "won by blue", "duplicates"]
    section.folded = [Table("Games", headers, rows)]
    return section


def _pace_charts(run: Run) -> list[Chart]:
    """How sharp the policies are, and how fast they were found; what is not known is left out."""

    def over_time(title: str, caption: str, points: dict[int, float], **keywords: Any) -> Chart:
        x, y = np.array(list(points)), floats(points.values())
        return line_chart(title, caption, [Series(title.lower(), x, y)], zero=True, **keywords)

    entropy = {
        one.number: one.sample.entropy
        for one in run.generations
        if one.sample and one.sample.entropy is not None
    }
    paces = {one.number: one.pace for one in run.generations if one.pace}
    charts = []
    if entropy:
        caption = "Mean entropy of the search's policy, in nats."
        charts.append(over_time("Policy entropy", caption, entropy))
    if paces:
        hits = {number: pace.hit_rate for number, pace in paces.items()}
        caption = "Share of evaluations that were remembered."
        charts.append(over_time("Cache hits", caption, hits, percent=True))
        rates = {number: pace.rate for number, pace in paces.items()}
        caption = "Positions that the network evaluated, by a job."
        charts.append(over_time("Evaluations a second", caption, rates))
    return charts


def games(run: Run) -> Section:
    """Games of the last generation to step through."""
    section = Section("games", "Games to watch")
    if not run.games:
        section.empty = "There are no cleaned games to watch."
        return section
    section.intro = (
        "From the last generation: the longest games, the most surprising ones (in which the value"
        " changed most from a player's move to his next), and those lost by the favourite (whom the"
        " mean value named). Numbers on the cells are the search's policy for the next move, in %."
    )
    if any(ply.line for game in run.games for ply in game.plies):
        section.intro += (
            " The expected line and the values of moves are what the last network says of the"
            f" position now, with {SIMULATIONS} simulations."
        )
    section.games = run.games
    return section


def _histogram(one: Generation, counts: dict[int, int]) -> Series:
    x = np.arange(min(counts, default=0) - 1, max(counts, default=0) + 2)
    y = np.array([counts.get(int(moves), 0) for moves in x])
    return Series(one.name, x, y / max(y.sum(), 1))
