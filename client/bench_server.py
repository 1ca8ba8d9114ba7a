"""How many sessions one process of the service holds: more and more of them, until frames come back late."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aec_core.bench import echo_pair
from client.connect import Address
from client.load import Seen
from client.load_clients import LoadClients, Now
from client.local_server import local_server
from client.scrape import ServerMetrics
from client.wire import to_int16

MOST_P99_MS = 40.0
AUDIO_S = 20.0
ATTEMPTS = 2  # another program may have been in the way
KEPT_UP_MS = 100.0  # half of all frames come back sooner, while the service keeps up
LEAST_FOR_FIT = 16  # few sessions do not share batches, and would foretell too little
FULL = 0.7  # of a core: what the fit may fill
CORES = (1, 4, 16, 64)
MOST_REASONS = 5

Report = dict[str, Any]

Progress = Callable[[str, Now | None], None]


def silent(says: str, now: Now | None) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Used:
    """What a process has used: CPU seconds so far, and bytes of memory now."""

    cpu_s: float
    rss: int


def read_process(pid: int) -> Used:
    """Read `/proc`; zeros where there is none, and for a service elsewhere."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return Used(0.0, 0)
    ticks = int(after_name[11]) + int(after_name[12])  # utime and stime
    return Used(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        counts: Numbers of sessions, one step each.
        seconds: Audio of each step that counts.
        until_p99_ms: The turnaround of one frame in a hundred at which the steps end.
        clients: Processes that hold the sessions.
        keep_going: Go on though frames are late, as far as no session is lost: on a busy machine it is not
            the service that is late, and the fit wants many sessions.
    """

    counts: Sequence[int]
    seconds: float
    until_p99_ms: float = MOST_P99_MS
    clients: int = 1
    keep_going: bool = False


def bench_server(plan: Plan, address: Address | None = None, progress: Progress = silent) -> Report:
    """Hold more and more sessions until frames are late.

    Args:
        plan: The steps.
        address: A service that runs already, of which CPU and memory are not known; else one is started.
        progress: Is told what happens, and how the step goes.
    """
    if address is not None:
        return _summary(_climb(address, 0, plan, progress), 0, plan)
    limits = {"DUPLEX_MAX_SESSIONS": str(max(plan.counts)), "DUPLEX_MAX_LOAD": "1"}
    progress("starting a service without a recogniser", None)
    with local_server("--asr", "none", "--no-tls", limits=limits | {"DUPLEX_MAX_SESSIONS": "1"}) as small:
        idle = read_process(small.pid).rss
    with ExitStack() as stack:
        server = stack.enter_context(local_server("--asr", "none", "--no-tls", limits=limits))
        return _summary(_climb(Address(server.url), server.pid, plan, progress), idle, plan)


def _climb(address: Address, pid: int, plan: Plan, progress: Progress) -> list[Report]:
    mic, ref = (to_int16(x) for x in echo_pair(AUDIO_S))
    steps: list[Report] = []
    attempts = ATTEMPTS if len(plan.counts) > 1 else 1
    with LoadClients(plan.clients, np.stack([mic, ref], axis=1)) as clients:
        for count in plan.counts:
            for attempt in range(attempts):
                step = _step(clients, address, pid, plan, count, progress)
                good = holds(step, plan.until_p99_ms) or (plan.keep_going and not step["lost"])
                if clients.stopped or (not good and attempt == attempts - 1):
                    return [*steps, step]
                if good:
                    steps.append(step)
                    break
    return steps


def _step(
    clients: LoadClients, address: Address, pid: int, plan: Plan, count: int, progress: Progress
) -> Report:
    says = f"{count} sessions for {plan.seconds:.0f} s"
    metrics = ServerMetrics(address)
    before, began = read_process(pid), time.perf_counter()
    seen = clients.hold(address, count, plan.seconds, lambda now: progress(says, now))
    after, took = read_process(pid), time.perf_counter() - began
    step = describe(count, seen, (after.cpu_s - before.cpu_s) / took, after.rss, plan.until_p99_ms)
    own = metrics.since()
    lag = own.pop("loop_lag_p99_ms") if own else None
    return step | {"loop_lag_p99_ms": lag, "service": own, "interrupted": clients.stopped}


def holds(step: Report, most_ms: float = MOST_P99_MS) -> bool:
    """Say whether all sessions lived and one frame in a hundred at most took more than `most_ms`."""
    return not step["lost"] and step["turnaround_ms"]["p99"] <= most_ms


def steps_up_to(most: int) -> list[int]:
    """Return the numbers of sessions to try: fourths near a process's limit, then a quarter more."""
    counts = [1, 4, 8, 16, 24, 32, 40, 48, 52, 56, 60, 64, 68, 72, 76, 80, 88, 96, 112, 128]
    while counts[-1] < most:
        counts.append(counts[-1] * 5 // 4)
    return [*(count for count in counts if count < most), most]


def describe(count: int, seen: Seen, cpu: float, rss: int, most_ms: float = MOST_P99_MS) -> Report:
    """Return the figures of one step; rates are of one session."""
    late = sum(ms > most_ms for ms in seen.turnaround_ms)
    missing = max(seen.sent - len(seen.turnaround_ms), 0)
    return {
        "sessions": count,
        "turnaround_ms": percentiles(seen.turnaround_ms),
        "ping_ms": percentiles(seen.ping_ms),
        "client_lag_ms": percentiles(seen.own_lag_ms),
        "late_share": round((late + missing) / max(seen.sent, 1), 5),
        "cpu": round(cpu, 4),
        "rss_mb": round(rss / 2**20, 1),
        "lost": len(seen.lost),
        "lost_why": dict(Counter(seen.lost).most_common(MOST_REASONS)),
        "refused": dict(seen.refused),
        "events_s": _rate(seen, seen.events, 1),
        "payload_kbit_s": {way: _rate(seen, n, 0.008) for way, n in vars(seen.payload).items()},
        "wire_kbit_s": {way: _rate(seen, n, 0.008) for way, n in vars(seen.wire).items()},
        "load_average": round(os.getloadavg()[0], 1),
    }


def _rate(seen: Seen, total: float, unit: float) -> float:
    """Return a total as a rate of one session."""
    return round(unit * total / seen.session_s, 1) if seen.session_s else 0.0


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and the maximum; infinite where nothing was seen."""
    if not values:
        return dict.fromkeys(("p50", "p95", "p99", "max"), float("inf"))
    found = np.percentile(values, (50, 95, 99, 100))
    return {name: round(float(v), 2) for name, v in zip(("p50", "p95", "p99", "max"), found, strict=True)}


def fit_cost(steps: Sequence[Report]) -> Report | None:
    """Fit cores = once + sessions * each, and say how many sessions fill 70 % of each core of a machine.

    A service that falls behind uses what it is given, not what it needs: such steps are left out.
    """
    known = [s for s in steps if s["cpu"] > 0 and s["turnaround_ms"]["p50"] < KEPT_UP_MS and not s["lost"]]
    if len(known) < 3 or known[-1]["sessions"] < LEAST_FOR_FIT:
        return None
    each, once = np.polyfit([s["sessions"] for s in known], [s["cpu"] for s in known], 1)
    if each <= 0:
        return None
    held = int((FULL - once) / each)
    return {
        "cpu_once": round(float(once), 4),
        "cpu_per_session": round(float(each), 5),
        "sessions_by_cores": {str(cores): held * cores for cores in CORES},
    }


def _summary(steps: list[Report], idle_rss: int, plan: Plan) -> Report:
    good = [step for step in steps if holds(step, plan.until_p99_ms)]
    best = good[-1] if good else steps[0]
    most = steps[-1]  # the slots of all are paid for at the start
    rss = (most["rss_mb"] - idle_rss / 2**20) / most["sessions"] if idle_rss else None
    return {
        "sessions_per_core": best["sessions"] if good else 0,
        "turnaround_ms": best["turnaround_ms"],
        "rss_per_session_mb": None if rss is None else round(rss, 2),
        "until_p99_ms": plan.until_p99_ms,
        "clients": plan.clients,
        "steps": steps,
        "fit": fit_cost(steps),
    }
