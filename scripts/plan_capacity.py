"""How many pods, cores and gigabits so many sessions take, and what they cost: docs/scaling.md explains it.

python scripts/plan_capacity.py [--price-core-hour 0.04] [--price-gb 0.05] [--talk 0.35] … [--docs FOLDER]

Sessions a process and its memory are read from docs/results/bench.json; the other figures are options.
"""

import argparse
import json
from dataclasses import dataclass
from math import ceil
from pathlib import Path

ROOT = Path(__file__).parents[1]
SIZES = (1_000, 10_000, 1_000_000)
RECOGNISERS = {  # cores while somebody speaks
    "whisper tiny.en, final texts": 0.13,
    "whisper tiny.en, live captions": 0.45,
    "Paraformer 220M, streaming (estimate)": 0.5,
}


@dataclass(frozen=True)
class Process:
    """What one process of the service was measured to hold."""

    sessions: int
    rss_mb: float


def read_process(path: Path) -> Process:
    """Take the largest step that held."""
    server = json.loads(path.read_text("utf-8"))["server"]
    step = next(step for step in server["steps"] if step["sessions"] == server["sessions_per_core"])
    return Process(step["sessions"], step["rss_mb"])


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default, about in (
        ("price-core-hour", 0.04, "assumed price of a core for an hour"),
        ("price-gb", 0.05, "assumed price of a gigabyte that leaves"),
        ("fill", 36 / 68, "sessions a process has on average, of those that it can hold"),
        ("talk", 0.35, "assumed share of the time in which the person speaks"),
        ("decisions", 8.0, "assumed decisions of the turn model, a minute and session"),
        ("decision-s", 0.029, "CPU seconds of one (scripts/measure_recognition.py)"),
        ("busy", 0.6, "share of a recogniser's time that is used: bursts have to fit"),
        ("in-kbit", 561.4, "IP traffic from a client (duplex bench server --url wss://…)"),
        ("out-kbit", 570.4, "IP traffic to a client, cleaned audio with it"),
        (
            "events-kbit",
            33.2,
            "IP traffic to a client without cleaned audio, by arithmetic (docs/scaling.md)",
        ),
        ("node-cores", 16, "cores of a machine, of which two are the system's"),
        ("series", 65, "Prometheus series of a process (lines of its /metrics: 62 after a run)"),
    ):
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"{about}: {default:.3g}")
    parser.add_argument("--bench", type=Path, default=ROOT / "docs" / "results" / "bench.json")
    parser.add_argument("--docs", type=Path, help="write scaling.md into this folder")
    return parser.parse_args()


def size_rows(process: Process, options: argparse.Namespace) -> list[list[str]]:
    """Return what each number of sessions takes; the first row is the head."""
    rows: list[list[str]] = [["sessions", *(f"{n:,}" for n in SIZES)]]
    planned = process.sessions * options.fill
    pods = [ceil(n / planned) for n in SIZES]
    turn = options.decisions / 60 * options.decision_s / options.busy
    per_node = options.node_cores - 2

    def add(name: str, values: list[float], unit: str = "") -> None:
        rows.append([name, *(f"{value:,.{0 if value >= 10 else 2}f}{unit}" for value in values)])

    add(f"processes, {planned:.0f} sessions each on average: a core, a pod", [float(n) for n in pods])
    add("their memory, GB", [n * process.rss_mb / 1024 for n in pods])
    add("cores for the turn model", [n * turn for n in SIZES])
    for name, share in RECOGNISERS.items():
        add(f"cores for {name}", [n * options.talk * share / options.busy for n in SIZES])
    captions = options.talk * RECOGNISERS["whisper tiny.en, live captions"] / options.busy
    cores = [p + n * (turn + captions) for p, n in zip(pods, SIZES, strict=True)]
    add("cores in all, with live captions", cores)
    add(f"machines of {options.node_cores} cores", [ceil(c / per_node) for c in cores])
    add("into the service, Gbit/s", [n * options.in_kbit / 1e6 for n in SIZES])
    add("out of it, Gbit/s", [n * options.out_kbit / 1e6 for n in SIZES])
    add("out of it without cleaned audio, Gbit/s", [n * options.events_kbit / 1e6 for n in SIZES])
    add("Prometheus series", [float(n * options.series) for n in pods])
    return rows


def cost_rows(process: Process, options: argparse.Namespace) -> list[list[str]]:
    """Return what a thousand sessions cost for an hour; the first row is the head."""
    core, gigabyte = options.price_core_hour, options.price_gb
    turn = 1000 * options.decisions / 60 * options.decision_s / options.busy
    rows = [["a thousand sessions for an hour", "amount", "cost"]]
    amounts = {"echo, VAD, sockets": 1000 / (process.sessions * options.fill), "turn model": turn}
    for name, share in RECOGNISERS.items():
        amounts[name] = 1000 * options.talk * share / options.busy
    rows += [[name, f"{cores:.0f} cores", f"{cores * core:.2f}"] for name, cores in amounts.items()]
    for name, kbit in (
        ("traffic out", options.out_kbit),
        ("traffic out without cleaned audio", options.events_kbit),
    ):
        sent = 1000 * kbit * 3600 / 8e6
        rows.append([name, f"{sent:.0f} GB", f"{sent * gigabyte:.2f}"])
    return rows


def markdown(rows: list[list[str]]) -> str:
    """Lay out a table."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Print or write both tables."""
    options = parse()
    process = read_process(options.bench)
    text = "\n\n".join(
        [
            "# Capacity",
            f"""Written by `python scripts/plan_capacity.py --docs docs/results`. All of it is arithmetic over
the measured {process.sessions} sessions and {process.rss_mb:.0f} MB a process, and the options of the script.
Prices are assumptions: {options.price_core_hour} for an hour of a core, {options.price_gb} for a gigabyte.
[scaling.md](../scaling.md) says what it means.""",
            markdown(size_rows(process, options)),
            markdown(cost_rows(process, options)),
        ]
    )
    if options.docs:
        (options.docs / "scaling.md").write_text(text + "\n", encoding="utf-8")
    else:
        print(text)  # noqa: T201


if __name__ == "__main__":
    main()
