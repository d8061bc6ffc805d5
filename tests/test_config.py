"""Settings: what is accepted, what is refused and how, and the files generated from them."""

import itertools
import re
import shlex

import jsonschema
import pytest
import yaml
from conftest import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config

from hexlib import reference
from hexlib.config import options, read_config, validate
from hexlib.errors import BadInput
from hexlib.run_config import Config
from hexlib.settings import Selfplay

SETTINGS = [
    REPOSITORY / "config/config.yaml",
    *sorted((REPOSITORY / "config/presets").iterdir()),
    *sorted((REPOSITORY / "tests/config").iterdir()),
]


def test_generated_files_are_current():
    """`make schema` writes them."""
    assert (REPOSITORY / "config/schema.yaml").read_text() == reference.schema()
    assert (REPOSITORY / "config/README.md").read_text() == reference.table()


def test_every_key_has_a_meaning():
    for key, field in reference._keys(Config):
        assert field.description, key


_SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "board_size": st.integers(7, 13),
        "curriculum": st.lists(st.just({"board_size": 5, "generations": 1}), max_size=1),
        "selfplay": st.none() | st.fixed_dictionaries({}, optional={"games": st.integers(50, 60)}),
        "train": st.fixed_dictionaries({}, optional={"reuse": st.integers(1, 9)}),
    },
)


@given(st.lists(_SECTIONS, min_size=1, max_size=3))
def test_several_files_are_merged_as_snakemake_merges_them(tmp_path_factory, given_files):
    folder, expected = tmp_path_factory.mktemp("settings"), {}
    paths = [folder / f"{k}.yaml" for k in range(len(given_files))]
    for path, data in zip(paths, given_files, strict=True):
        path.write_text(yaml.safe_dump(data))
        update_config(expected, yaml.safe_load(path.read_text()))
    assert read_config(*paths) == validate(expected)


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_shipped_settings_fit_the_schema(path):
    data = yaml.safe_load(path.read_text())
    jsonschema.validate(data, yaml.safe_load(reference.schema()))
    read_config(path)


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_presets_set_all_that_the_default_config_sets(path):
    """So that as an overlay, which is how they are read, they mean what they mean alone."""

    def keys(data: dict, prefix: str = "") -> set[str]:
        found = set()
        for key, value in data.items():
            nested = isinstance(value, dict)
            found |= keys(value, f"{prefix}{key}.") if nested else {prefix + key}
        return found

    default, preset = (yaml.safe_load(file.read_text()) for file in (SETTINGS[0], path))
    assert keys(default) <= keys(preset)


def test_the_large_preset_has_the_defaults_of_the_pipeline_before():
    config = read_config(REPOSITORY / "config/presets/hex13.yaml")
    assert config.selfplay.games == 100_000
    assert (config.selfplay.shards, config.selfplay.batch_size) == (3, 128)
    assert (config.selfplay.widths, config.selfplay.cache_size) == ([13, 8], 60_000)
    assert (config.clean.chunk_size, config.shuffle.buckets) == (10_000, 100)
    assert config.train.max_samples == 35_000_000


def test_values_from_the_command_line_may_be_text():
    config = validate(
        {"seed": "7", "run": 12, "selfplay": {"games": "50", "widths": ["3", "2"]}, "train": None},
        "--config",
    )
    assert (config.seed, config.run, config.selfplay.games) == (7, "12", 50)
    assert config.selfplay.widths == [3, 2]
    assert config.train == Config().train


def test_a_curriculum_says_the_board_of_each_generation():
    steps = [{"board_size": 5, "generations": 2}, {"board_size": 6, "generations": 1}]
    config = validate({"curriculum": steps, "generations": {"count": 5}}, "some.yaml")
    assert [config.board_size_of(gen) for gen in range(5)] == [5, 5, 6, 7, 7]
    whole = [*steps, {"board_size": 7, "generations": 2}]
    assert validate({"curriculum": whole, "generations": {"count": 5}}, "some.yaml")
    given = {"selfplay": {"existing": ["games"]}, "generations": {"count": 1}}
    assert validate({"curriculum": steps, **given}, "some.yaml").board_size_of(0) == 7


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sede": 1}, "unknown key sede; did you mean seed?"),
        ({"learning_rate": 1}, "unknown key learning_rate; did you mean train.learning_rate?"),
        ({"train": {"lerning_rate": 1}}, "did you mean train.learning_rate?"),
        ({"net": {"xyz": 1}}, "unknown key net.xyz; known keys: blocks, channels"),
        ({"board_size": 20}, "board_size: Input should be less than or equal to 19, but it is 20"),
        ({"run": "a/b"}, "run: String should match"),
        ({"results_dir": "a{b}"}, "results_dir: String should match"),
        ({"generations": {"count": 2, "first": 2}}, "generations.first: 2 leaves none of the 2"),
        ({"selfplay": {"widths": [50]}}, "selfplay.widths: [50] do not fit a 7×7 board"),
        ({"selfplay": {"search": "minimax", "widths": []}}, "selfplay.widths: [] do not fit"),
        ({"board_size": 3, "selfplay": {"search": "minimax"}}, "selfplay.widths: [13, 8] do not"),
        ({"selfplay": {"random_stones": 25}}, "selfplay.random_stones: 25 would fill more"),
        ({"selfplay": {"games": 3, "shards": 4}}, "selfplay.shards: 4 files for 3 games"),
        ({"selfplay": {"existing": ["x"]}}, "selfplay.existing: the games given stand in for one"),
        ({"clean": {"chunk_size": 1}}, "clean.chunk_size: 1 would split 3000 games into 3000"),
        (
            {"curriculum": [{"board_size": 5, "generations": 3, "bord_size": 6}]},
            "unknown key curriculum.0.bord_size; did you mean curriculum.0.board_size?",
        ),
        (
            {"curriculum": [{"board_size": 5, "generations": 12}]},
            "curriculum: its 12 generations leave none of the 12 in all for board_size, 7",
        ),
        (
            {
                "curriculum": [
                    {"board_size": 5, "generations": 9},
                    {"board_size": 7, "generations": 9},
                ]
            },
            "curriculum: its 18 generations leave none of the 12",
        ),
        ({"train": {"final_learning_rate": 0.5}}, "train.final_learning_rate: 0.5 is above"),
        ({"train": {"sweep": {"train.reuse": []}}}, "train.sweep: give each key at least one"),
        ({"train": {"sweep": [{"train.reuse": 1}, {}]}}, "train.sweep: give each trial of the"),
        ({"train": {"sweep": {"seed": [1]}}}, "train.sweep: seed is no key of net or train"),
        (
            {"train": {"sweep": {"net.blocks": [1, 99]}}},
            "train.sweep: {'net.blocks': 99} cannot be tried: Input should be less than",
        ),
        (
            {"train": {"sweep": {"train.validation_fraction": [0]}}},
            "train.sweep: trials are compared by held-out games, of which there are none",
        ),
        (
            {"train": {"reply_weight": 0.15}},
            "train.reply_weight: 0.15 has nothing to learn from without process.replies: true",
        ),
        (
            {"train": {"batch_size": 100, "processes": 3}},
            "train.batch_size: 100 positions cannot be shared equally by 3 processes",
        ),
        (
            {"initial_checkpoint": "x", "generations": {"first": 1}},
            "initial_checkpoint: has no use where generations.first is above 0",
        ),
    ],
)
def test_bad_settings_are_told_in_one_line(data, message):
    with pytest.raises(BadInput) as refused:
        validate(data, "some.yaml")
    assert str(refused.value).startswith("some.yaml: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_default_widths_do_not_matter_to_another_search():
    assert validate({"board_size": 3, "selfplay": {"random_stones": 2}}, "x").board_size == 3


@pytest.mark.parametrize("board_size", [3, 5, 19])
def test_the_settings_of_a_run_are_settings_again(board_size):
    whole = validate({"board_size": board_size}, "x")
    assert validate(whole.model_dump(by_alias=True), "x") == whole


def test_errors_name_the_line_in_the_last_file_that_sets_the_key(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("seed: 1\nnet:\n  blocks: 0\n")
    second.write_text("# only a comment\nseed: -1\n")
    with pytest.raises(BadInput, match=rf"^{re.escape(str(first))}:3: net\.blocks: "):
        validate({"seed": 1, "net": {"blocks": 0}}, str(first), str(second))
    with pytest.raises(BadInput, match=rf"^{re.escape(str(second))}:2: seed: "):
        validate({"seed": -1}, str(first), str(second), "--config")
    with pytest.raises(BadInput, match=r"^--config: board_size: "):
        validate({"board_size": 2}, str(first), str(second), "--config")


@pytest.mark.parametrize("text", ["seed: [1\n", "- 1\n", None])
def test_files_that_are_no_settings_are_named(tmp_path, text):
    path = tmp_path / "settings.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput, match=re.escape(str(path))) as refused:
        read_config(path)
    assert "\n" not in str(refused.value)


def test_options_spell_out_every_key():
    section = Selfplay(existing=["a b", "it's"], accept_partial=True)
    words = shlex.split(options(section, {"games"}, "my-"))
    assert words[:2] == ["--my-shards", "2"]
    assert words[words.index("--my-existing") + 1 :] == ["a b", "it's", "--my-accept-partial"]
    assert "--no-accept-partial" in options(Selfplay())
    assert len([word for word in words if word.startswith("--")]) == len(Selfplay.model_fields) - 1


@given(
    count=st.integers(1, 150),
    span=st.integers(0, 160),
    rates=st.tuples(st.floats(1e-4, 1e-2), st.floats(1e-4, 1e-2)).map(sorted),
)
def test_learning_rate_falls_from_the_one_to_the_other(count, span, rates):
    low, high = rates
    config = Config.model_validate(
        {
            "generations": {"count": count},
            "train": {
                "learning_rate": high,
                "final_learning_rate": low,
                "decay_generations": span,
            },
        }
    )
    pairs = [config.learning_rates(generation) for generation in range(count)]
    assert pairs[0][0] == high
    for (start, end), (following, _) in itertools.pairwise(pairs):
        assert end == following <= start
    if span:
        assert pairs[-1][1] == pytest.approx(low)
    else:
        assert all(pair == (high, high) for pair in pairs)
