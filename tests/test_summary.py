"""What a finished run says for itself."""

from hexlib import files
from hexlib.summary import summary

FIGURES = {
    "value_accuracy": 0.9,
    "move_accuracy": 0.925,
    "openings_right": 0,
    "openings": 49,
}


def make(run, generation, **more):
    lineage = {"generation": generation, "rows_window": 1234, "rows_made": 56789, **more}
    files.write_json(run / f"gen_{generation:03d}/train/lineage.json", lineage)


def test_a_run_without_a_checkpoint(tmp_path):
    assert "no checkpoint yet" in summary(tmp_path)


def test_only_what_was_measured_is_told(tmp_path):
    make(tmp_path, 0)
    lines = summary(tmp_path).splitlines()
    assert len(lines) == 2
    assert "generation 0: trained on 1,234 of 56,789 positions" in lines[0]
    assert "report` makes it" in lines[1]


def test_the_last_generation_is_told_in_full(tmp_path):
    make(tmp_path, 2)
    make(tmp_path, 10)
    folder = tmp_path / "gen_010/evaluate"
    solved = {"simulations": 64, "raw": FIGURES, "search": {**FIGURES, "move_accuracy": 1.0}}
    files.write_json(folder / "solved.json", solved)
    match = {"games": 200, "a_wins": 120, "score": 0.6, "interval": [0.53, 0.67]}
    files.write_json(folder / "match.json", match)
    files.write_text(tmp_path / "report/index.html", "<html>")
    text = summary(tmp_path)
    assert f"{tmp_path}/gen_010/train/checkpoint.pt, generation 10" in text
    assert "the network alone keeps the win in 92.5%" in text
    assert "knows the winner of 90.0% and of 0 of 49 openings" in text
    assert "a search of 64 simulations keeps the win in 100.0%" in text
    assert "won 120 of 200 games: 60.0% (95 % interval 53.0% to 67.0%)" in text
    assert text.endswith(f"Report: {tmp_path}/report/index.html")


def test_a_board_without_solved_positions(tmp_path):
    make(tmp_path, 0)
    files.write_json(
        tmp_path / "gen_000/evaluate/solved.json", {"simulations": 4, "raw": None, "search": None}
    )
    assert len(summary(tmp_path).splitlines()) == 2
