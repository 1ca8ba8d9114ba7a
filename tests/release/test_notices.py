"""THIRD_PARTY_NOTICES.md names every direct dependency, and explains the unusual licences."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
NOTICES = (ROOT / "THIRD_PARTY_NOTICES.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
UNUSUAL = re.compile(r"GPL|MPL|EUPL|CDDL|not stated|in its text|proprietary|commercial", re.IGNORECASE)
TOOLS = {"dev", "docs", "testing"}
WORDS, TABLE = NOTICES.split("<!-- packages", 1)
ROWS = {row.split(" | ")[0].strip("| "): row.split(" | ")[2] for row in TABLE.splitlines() if " | " in row}


def direct_dependencies():
    lines = list(PROJECT["dependencies"])
    for extra, wanted in PROJECT["optional-dependencies"].items():
        lines += [] if extra in TOOLS else wanted
    names = {canonicalize_name(Requirement(line).name) for line in lines}
    return sorted(names - {canonicalize_name(PROJECT["name"])})


@pytest.mark.parametrize("name", direct_dependencies())
def test_every_direct_dependency_is_in_the_table(name):
    assert name in ROWS, f"{name} is missing from THIRD_PARTY_NOTICES.md: run make notices"


def test_licences_that_ask_for_more_than_a_notice_are_explained():
    asking = [name for name, licence in ROWS.items() if UNUSUAL.search(licence)]
    assert {"soxr", "certifi"} <= set(asking)
    explained = WORDS[WORDS.index("## What to look at") :]
    assert [name for name in asking if not re.search(rf"\b{re.escape(name)}\b", explained)] == []
