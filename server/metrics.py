"""Every metric of the service, in a registry of its own for each app."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ROUND_S = (0.0005, 0.001, 0.002, 0.004, 0.007, 0.010, 0.014, 0.020, 0.040, 0.100)
_LAG_S = (0.001, 0.002, 0.005, 0.010, 0.020, 0.040, 0.100, 0.500)
_TURNAROUND_S = (0.002, 0.005, 0.010, 0.015, 0.020, 0.030, 0.040, 0.060, 0.100, 0.200, 0.500)


class Metrics:
    """Counters and gauges, named as they appear at `/metrics`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sessions = Gauge("duplex_sessions", "Connected sessions", registry=self.registry)
        self.kept = Gauge(
            "duplex_sessions_kept", "Dropped sessions that may be resumed", registry=self.registry
        )
        self.relayed = Gauge(
            "duplex_sessions_relayed",
            "Connections carried to the worker that has their session",
            registry=self.registry,
        )
        self.opened = Counter("duplex_sessions_opened", "Sessions started", registry=self.registry)
        self.resumed = Counter("duplex_sessions_resumed", "Sessions resumed", registry=self.registry)
        self.closed = Counter(
            "duplex_connections_closed", "Connections ended, by close code", ["code"], registry=self.registry
        )
        self.refused = Counter(
            "duplex_connections_refused",
            "Connections refused, by HTTP status or close code",
            ["status"],
            registry=self.registry,
        )
        self.hops = Counter("duplex_hops", "Stretches of 20 ms cancelled", registry=self.registry)
        self.gaps = Counter("duplex_gap_seconds", "Audio that never came", registry=self.registry)
        self.bad_messages = Counter(
            "duplex_bad_messages", "Messages answered with an error or a close", registry=self.registry
        )
        self.queue_warnings = Counter(
            "duplex_queue_warnings", "Live clients told that their audio waits", registry=self.registry
        )
        self.failures = Counter(
            "duplex_session_failures", "Sessions ended by an internal error", registry=self.registry
        )
        self.asr_restarts = Counter(
            "duplex_asr_restarts",
            "Starts of the recogniser's process after the first one ended",
            registry=self.registry,
        )
        self.unrecorded = Counter(
            "duplex_recording_dropped",
            "Pieces of recordings for which the disk was too slow",
            registry=self.registry,
        )
        self.round = Histogram(
            "duplex_engine_round_seconds",
            "One batched call over all sessions with a full hop",
            buckets=_ROUND_S,
            registry=self.registry,
        )
        self.turnaround = Histogram(
            "duplex_turnaround_seconds",
            "From a frame's arrival to its results",
            buckets=_TURNAROUND_S,
            registry=self.registry,
        )
        self.loop_lag = Histogram(
            "duplex_loop_lag_seconds",
            "By how much the event loop is late, 20 times a second",
            buckets=_LAG_S,
            registry=self.registry,
        )
        self.load = Gauge(
            "duplex_engine_load", "Share of the real-time budget in use", registry=self.registry
        )

    def exposition(self) -> bytes:
        """Return the Prometheus text format."""
        return generate_latest(self.registry)
