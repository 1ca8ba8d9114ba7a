"""The arithmetic of docs/scaling.md: what the script reads, and what it makes of it."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "plan_capacity.py"


def plan(*options: object) -> dict[str, list[str]]:
    command = [sys.executable, str(SCRIPT), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    return {name: values for name, *values in rows}


def test_the_step_that_held_is_what_pods_are_counted_by(tmp_path):
    steps = [{"sessions": 40, "rss_mb": 512.0}, {"sessions": 50, "rss_mb": 9999.0}]
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps({"server": {"sessions_per_core": 40, "steps": steps}}))
    rows = plan("--bench", bench, "--fill", 0.5, "--price-core-hour", 0.1, "--talk", 0.6)
    assert rows["processes, 20 sessions each on average: a core, a pod"] == ["50", "500", "50,000"]
    assert rows["their memory, GB"] == ["25", "250", "25,000"]
    assert rows["cores for whisper tiny.en, live captions"][0] == "450"  # 1000 * 0.6 * 0.45 / 0.6
    assert rows["echo, VAD, sockets"] == ["50 cores", "5.00"]


def test_the_shipped_figures_can_be_read():
    rows = plan()
    assert rows["into the service, Gbit/s"][0] == "0.56"
