"""The version stands in pyproject.toml; everything else reads it."""

import tomllib
from importlib.metadata import version
from pathlib import Path

from typer.testing import CliRunner

from client.cli import app

ROOT = Path(__file__).parents[2]


def test_the_command_says_which_version_is_installed():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"duplex {version('duplex-aec')}\n"


def test_the_changelog_has_this_version_or_what_is_to_be_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{project['version']}]" in text or f"to be {project['version']}." in text
