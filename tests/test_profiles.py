"""The profiles: what they have in common, and that what they name is there."""

import re

import pytest
import yaml
from conftest import REPOSITORY


def profile(name):
    return yaml.safe_load((REPOSITORY / f"profiles/{name}/config.yaml").read_text())


PROFILES = sorted(path.name for path in (REPOSITORY / "profiles").iterdir())
RULES = set(
    re.findall(
        r"^(?:rule|use rule \w+ as) (\w+)",
        "".join(path.read_text() for path in (REPOSITORY / "rules").glob("*.smk")),
        re.MULTILINE,
    )
)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_alone_keeps_what_the_default_one_promises(name):
    """A profile that is named on the command line takes the place of the default one."""
    shared = {key: value for key, value in profile("default").items() if key != "resources"}
    assert shared.items() <= profile(name).items()


@pytest.mark.parametrize("name", [name for name in PROFILES if "groups" in profile(name)])
def test_groups_are_of_rules_that_exist_in_all_generations(name):
    groups = dict(entry.split("=") for entry in profile(name)["groups"])
    assert groups.keys() <= RULES
    for rule, group in groups.items():
        # One group of two generations would wait for itself.
        assert group.endswith("_{gen}")
        assert groups[rule.removesuffix("_past") + "_past"] == group
    components = dict(entry.split("=") for entry in profile(name)["group-components"])
    assert components.keys() == set(groups.values())
