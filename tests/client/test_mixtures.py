from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from client.cli import app

pytestmark = pytest.mark.skipif(not find_spec("pyroomacoustics"), reason="needs the 'train' extra")


def test_without_a_manifest_the_shipped_voices_are_mixed(tmp_path):
    out = tmp_path / "examples"
    options = ["--out", str(out), "--count", "1", "--no-audio", "--cache", str(tmp_path / "cache")]
    result = CliRunner().invoke(app, ["mixtures", *options])
    assert result.exit_code == 0, result.output
    assert "mixtures are in" in result.output
    assert (out / "01.png").is_file()


def test_a_manifest_that_is_none_is_an_error_in_one_line(tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("path,kind\n")
    for path, words in ((bad, "lacks the columns corpus"), (tmp_path / "none.csv", "none.csv")):
        result = CliRunner().invoke(app, ["mixtures", "--manifest", str(path), "--out", str(tmp_path / "x")])
        assert result.exit_code == 1
        assert words in result.output
        assert "Traceback" not in result.output
