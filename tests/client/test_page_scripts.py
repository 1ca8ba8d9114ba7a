from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from client.page import web_directory

SCRIPTS = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))
NODE = shutil.which("node")
# Debian 12 has 18, whose timers cannot be mocked as the tests do.
OLD = NODE is None or int(subprocess.check_output([NODE, "-p", "process.versions.node.split('.')[0]"])) < 20


@pytest.mark.skipif(OLD, reason="node 20 or newer is not installed")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name.removesuffix(".test.mjs"))
def test_scripts_of_the_page_pass_their_own_tests(script: Path):
    done = subprocess.run([str(NODE), "--test", str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_page_is_small_and_brings_everything_along():
    directory = web_directory()
    assert directory is not None
    assert sum(path.stat().st_size for path in directory.iterdir()) < 150_000, "the agent's clip included"
    for path in directory.iterdir():
        if path.suffix == ".mp3":
            continue
        text = (
            path.read_text(encoding="utf-8")
            .replace("http://www.w3.org/2000/svg", "")
            .replace("http://localhost", "")
        )
        assert "http://" not in text, path.name
        assert "https://" not in text, path.name
