"""What is installed is pinned, and checked against hashes."""

import re
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
ENVS = REPOSITORY / "envs"
LOCKS = sorted(path.stem for path in ENVS.glob("requirements*.txt"))
TORCH = "torch==2.13.0"


def lock(name):
    """The requirements of a lock, and the hashes of each, by the package's name."""
    text = (ENVS / f"{name}.txt").read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            words, *hashes = re.split(r"\s+--hash=", line.strip())
            requirement = Requirement(words)
            found[canonicalize_name(requirement.name)] = requirement, hashes
    return found


def asked(name):
    lines = (ENVS / f"{name}.in").read_text().splitlines()
    for line in lines:
        line = line.partition("#")[0].strip()
        if line.startswith("-r "):
            yield from asked(line.split()[1].removesuffix(".in"))
        elif line:
            yield Requirement(line)


@pytest.mark.parametrize("name", LOCKS)
def test_locks_pin_everything_that_is_asked_for_with_its_hashes(name):
    pinned = lock(name)
    for requirement, hashes in pinned.values():
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes)
    for requirement in asked(name):
        found, _ = pinned[canonicalize_name(requirement.name)]
        version = str(found.specifier).removeprefix("==")
        assert requirement.specifier.contains(version), requirement


def test_there_is_a_lock_for_all_that_is_asked_for():
    assert sorted(path.stem for path in ENVS.glob("requirements*.in")) == LOCKS


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_index_and_nothing_local(name):
    """So that they hold for any index and mirror, whose files have the same hashes."""
    assert not re.search(r"://|--(?!hash=)|@ |\+", (ENVS / f"{name}.txt").read_text())


@pytest.mark.parametrize("name", ["requirements-dev", "requirements-cluster"])
def test_the_locks_agree(name):
    base, more = lock("requirements"), lock(name)
    assert set(base) < set(more)
    for package, (requirement, hashes) in base.items():
        assert str(more[package][0].specifier) == str(requirement.specifier), package
        assert more[package][1] == hashes, package


def test_compiled_packages_have_hashes_for_every_platform():
    """A wheel for Linux on x86-64 and aarch64, one for macOS, … each has its own."""
    base = lock("requirements")
    for package in ("numpy", "scipy", "pandas", "numba", "openvino", "pydantic-core", "zlib-ng"):
        assert len(base[package][1]) >= 4, package


def test_torch_is_apart_and_all_else_that_it_needs_is_locked():
    assert [str(requirement) for requirement in asked("requirements-torch")] == [TORCH]
    base = lock("requirements")
    assert "torch" not in base
    apart = lock("requirements-torch")
    assert str(apart["torch"][0]) == TORCH
    for package, (requirement, _) in apart.items():
        if package != "torch" and not re.match(r"nvidia-|cuda-|triton$", package):
            assert str(base[package][0].specifier) == str(requirement.specifier), package
    for line in metadata.requires("torch"):
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            assert canonicalize_name(needed.name) in base | apart, line


def test_everything_that_installs_checks_hashes():
    """The Makefile, the image and the environment of the rules; torch alone goes without."""
    for path in (REPOSITORY / "Makefile", ENVS / "Containerfile", ENVS / "hexlib.post-deploy.sh"):
        commands = re.findall(r"^.*requirements[\w-]*\.(?:txt|in).*$", path.read_text(), re.M)
        installs = [
            line for line in commands if re.search(r"pip (install|wheel)|PIP\)|LOCKED\)", line)
        ]
        assert installs
        for line in installs:
            checked = "--require-hashes" in line or "$(LOCKED)" in line
            assert checked or "requirements-torch.in" in line, line
    makefile = (REPOSITORY / "Makefile").read_text()
    assert "LOCKED := $(PIP) --require-hashes" in makefile
    assert "TORCH ?= envs/requirements-torch.in" in makefile


def test_the_environment_of_the_rules_is_the_lock():
    """Snakemake runs the script beside the environment's file after it has made it."""
    environment = yaml.safe_load((ENVS / "hexlib.yaml").read_text())
    assert environment["dependencies"] == ["python=3.11", "pip"]
    commands = (ENVS / "hexlib.post-deploy.sh").read_text().splitlines()
    assert "set -e" in commands
    for lockfile in ("envs/requirements.txt", "envs/requirements-torch.in"):
        assert any(line.startswith("pip install ") and lockfile in line for line in commands)
