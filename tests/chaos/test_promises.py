"""The tests that docs/reliability.md names are there."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "reliability.md"


def named(row: str) -> list[tuple[str, str | None]]:
    """Return the files that the last column of a row names, each with a test of it, or alone."""
    found: list[tuple[str, str | None]] = []
    for name in re.findall(r"`([\w/.]+)`", row.rsplit("|", 2)[1]):
        if name.endswith(".py"):
            found.append((name, None))
        else:
            found.append((found[-1][0], name))
    return found


def test_each_promise_names_a_test_that_is_there():
    promises = DOCUMENT.read_text("utf-8").partition("## Figures")[0]
    rows = re.findall(r"^\| (?!what happens|-).*\|$", promises, re.MULTILINE)
    assert len(rows) >= 25
    for row in rows:
        assert named(row), row
        for path, test in named(row):
            source = (TESTS / path).read_text("utf-8")
            assert f"def {test or 'test_'}" in source, (path, test)
