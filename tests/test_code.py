"""The digest of a stage's code: what changes it, and what does not."""

import ast
from pathlib import Path

import pytest

from hexlib import code
from hexlib.code import code_version

STAGES = ("selfplay", "clean", "process", "shuffle", "train", "evaluate", "report")
SOURCES = {
    "__init__.py": '"""A package."""\n',
    "errors.py": "class Broken(Exception): ...\n",
    "low/__init__.py": "",
    "low/board.py": "from pack.errors import Broken\n\nSIZE = 7\n",
    "low/record.py": "from . import board\n\nLINE = board.SIZE\n",
    "high/__init__.py": "",
    "high/play.py": '"""Play."""\nfrom pack.low import board\n\n\ndef play():\n    """Do."""\n'
    "    from pack.low.record import LINE\n    return LINE\n",
    "high/wash.py": "import pack.low.board as board\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def forget():
    """What a new process would not know."""
    for known in (code._parse, code._statements, code._imports):
        known.cache_clear()


def versions(package: Path) -> dict[str, str]:
    """Digests of both modules of `high`, parsed anew as a new process would."""
    forget()
    return {name: code_version(f"pack.high.{name}", package) for name in ("play", "wash")}


def test_the_place_of_the_package_does_not_count(package, tmp_path):
    before = versions(package)
    assert versions(package.rename(tmp_path / "elsewhere")) == before
    assert before["play"] != before["wash"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("high/play.py", '"""Play."""', '"""Plays."""'),
        ("high/play.py", '"""Do."""', '"""Does."""'),
        ("high/play.py", "return LINE", "# A comment.\n\n    return (LINE)  # another"),
        ("low/board.py", "SIZE = 7", '\nSIZE   =  7\n"""What a size is."""'),
        ("errors.py", "...", "a = 1"),
    ],
)
def test_what_does_not_run_does_not_count(package, name, old, new):
    before = versions(package)
    text = (package / name).read_text()
    assert old in text
    (package / name).write_text(text.replace(old, new))
    assert versions(package) == before


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("low/board.py", "SIZE = 7", "SIZE = 8", {"play", "wash"}),
        ("low/record.py", "LINE = board.SIZE", "LINE = -board.SIZE", {"play"}),
        ("high/play.py", "return LINE", "return LINE, LINE", {"play"}),
        ("high/play.py", "def play", "async def play", {"play"}),
        ("low/__init__.py", "", "import os\n", {"play", "wash"}),
    ],
)
def test_a_changed_statement_counts_for_all_that_import_it(package, name, old, new, changed):
    before = versions(package)
    text = (package / name).read_text()
    (package / name).write_text(text.replace(old, new, 1))
    after = versions(package)
    assert {name for name in after if after[name] != before[name]} == changed


def test_a_module_that_is_not_there_is_an_error(package):
    with pytest.raises(ModuleNotFoundError, match=r"pack\.high\.none"):
        code_version("pack.high.none", package)
    (package / "high/wash.py").write_text("import pack.low.gone\n")
    with pytest.raises(ModuleNotFoundError, match=r"pack\.low\.gone"):
        versions(package)


def test_search_is_code_of_selfplay_but_not_of_clean():
    def modules(stage: str) -> set[str]:
        return set(code._closure(f"hexlib.stages.{stage}", code.PACKAGE))

    assert "hexlib.search.gumbel" in modules("selfplay") - modules("clean")
    assert {"hexlib.game.board", "hexlib.files", "hexlib"} <= modules("clean")


def test_a_file_is_parsed_once_for_all_stages(monkeypatch):
    """Each command of Snakemake asks for all versions before it does anything."""
    forget()
    parsed = []
    parse = ast.parse

    def counted(text, filename):
        parsed.append(filename)
        return parse(text, filename)

    monkeypatch.setattr("ast.parse", counted)
    digests = {code_version(f"hexlib.stages.{stage}") for stage in STAGES}
    assert len(digests) == len(STAGES)
    assert len(parsed) == len(set(parsed)) > 50
