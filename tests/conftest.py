"""What the tests of the workflow share: a project folder of its own in which Snakemake runs."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

REPOSITORY = Path(__file__).parents[1]
PARTS = ("Snakefile", "rules", "config", "profiles", "envs", "hexlib")
TINY = "tests/config/tiny.yaml"


class Project:
    """A copy of the workflow in a folder, to run Snakemake in as a user would."""

    def __init__(self, folder: Path, stand_in: bool):
        """With `stand_in`, the command `hexlib` only makes the files that it should make."""
        self.folder = folder
        self.stand_in = stand_in

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `snakemake`, as the first of a group of processes, both its streams in one."""
        search = [str(Path(sys.executable).parent), os.environ["PATH"]]
        if self.stand_in:
            search.insert(0, str(REPOSITORY / "tests/stand_in"))
        environment = {
            **os.environ,
            "PATH": os.pathsep.join(search),
            # The real commands run from the repository, where numba's compiled code lies.
            "PYTHONPATH": str(self.folder if self.stand_in else REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=environment | options.pop("env", {}),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **{"stdout": subprocess.PIPE, **options},
        )

    def snakemake(
        self, *arguments: str, timeout: float = 300, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run `snakemake` with its output captured."""
        with self.start(*arguments, **options) as process:
            try:
                said, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, said)

    def run(self, *arguments: str, **options: Any) -> str:
        """The output of a run that must succeed."""
        result = self.snakemake("--cores", "2", *arguments, **options)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def plan(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a dry run lists."""
        result = self.snakemake("--dry-run", *arguments)
        assert result.returncode == 0, result.stdout
        table = result.stdout.partition("Job stats:")[2].partition("total")[0]
        jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}
        assert jobs or "Nothing to be done" in result.stdout, result.stdout
        return jobs

    def write(self, path: str, text: str) -> str:
        """Write a file in the folder and return its path."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)
        return path

    def copy(self, folder: Path) -> "Project":
        """The same project, results included, in another folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder, self.stand_in)

    def files(self, under: str = ".") -> set[str]:
        """Paths of all files in a folder of the project, relative to the project."""
        found = (self.folder / under).rglob("*")
        return {path.relative_to(self.folder).as_posix() for path in found if path.is_file()}


def new_project_in(folder: Path, stand_in: bool) -> Project:
    """Copy the workflow into a folder, without results."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            shutil.copy(source, folder / part)
    (folder / "tests").mkdir()
    shutil.copytree(REPOSITORY / "tests/config", folder / "tests/config")
    return Project(folder, stand_in)


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """Make a project without results; `stand_in=False` runs the real commands."""

    def make(stand_in: bool = True) -> Project:
        return new_project_in(tmp_path_factory.mktemp("project"), stand_in)

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """A project in which `snakemake train report` has run to its end, and what it said.

    It is made once for all of the processes that test: read it, or work in a copy.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, said = shared / "finished", shared / "finished.txt"
    with FileLock(shared / "finished.lock"):
        if not said.exists():
            project = new_project_in(folder, stand_in=False)
            said.write_text(project.run("train", "report", "--configfile", TINY, timeout=900))
    return Project(folder, stand_in=False), said.read_text()
