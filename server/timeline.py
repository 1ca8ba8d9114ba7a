"""What a session's peer captured, as gapless pairs of 20 ms at 16 kHz, in the order of its sample index.

Nothing here depends on when a frame arrived. Microphone and reference are filled, dropped and resampled
together, so that what was aligned at the peer stays aligned to the sample.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from aec_core.types import HOP, SAMPLE_RATE, Samples
from server.clock import SampleClock
from server.events import AudioGap, InputAudioAppend, Reference, ReferenceState
from server.pcm import FULL_SCALE, from_bytes, to_float
from server.protocol import AudioFrame, Flag, Kind
from server.reference import FarEnd
from server.reference_health import ReferenceHealth
from server.resample import alignment, make_resampler
from server.sequence import Piece, Sequencer

FULL_MS = 500  # of audio that nobody has taken: more is refused
WAIT_FOR_REFERENCE_MS = 100

Report = AudioGap | Reference

_MS_WRAP = 1 << 32
_NEW_DRIFT_PPM = 20.0


class Timeline:
    """The audio of one session.

    A gap of up to 2 s becomes silence. A longer one is left out: the next hop starts after it, and
    `restarted` says so. An index never goes back; audio from before the newest is dropped.

    Args:
        rate: On the wire, Hz.

    Attributes:
        restarted: The hop that `pop` returned last follows an open gap: filters start afresh with it.
        late: Frames so far that came too late, or twice.
        lost: Frames so far that never came, as far as their length tells.
    """

    def __init__(self, rate: int) -> None:
        self.restarted = False
        self.late = 0
        self.lost = 0
        self._rate = rate
        self._sequence = Sequencer(rate)
        self._clock = SampleClock(rate)
        self._far: FarEnd | None = None
        self._health = ReferenceHealth()
        self._reported: tuple[ReferenceState | None, str | None] = (None, None)
        self._reported_drift: float | None = None
        self._resampler = make_resampler(rate, 2)
        self._hops: deque[tuple[int, Samples, bool]] = deque()  # start, (2, 320), restarted
        self._rest = np.zeros((2, 0), np.float32)  # less than a hop
        self._start = 0  # of `_rest`, at 16 kHz
        self._started = False
        self._fresh = False  # the next hop follows an open gap
        self._seq: int | None = None
        self._ms = 0  # the peer's clock, unwrapped

    @property
    def queued(self) -> int:
        """Samples at 16 kHz that are here and not taken."""
        held = self._sequence.held * SAMPLE_RATE // self._rate
        return len(self._hops) * HOP + self._rest.shape[1] + held

    @property
    def reference(self) -> ReferenceState:
        """What is known of the reference; `missing` until it has really arrived."""
        return self._health.state or "missing"

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the reference's clock runs than the microphone's; None on one clock."""
        return self._far.drift_ppm if self._far else None

    @property
    def playback_denied(self) -> bool:
        """The client says that nothing plays, and the reference has sound."""
        return self._health.denied

    def playback(self, playing: bool) -> None:
        """Take the client's word for whether its loudspeaker plays."""
        self._health.claim(playing)

    def push(self, frame: AudioFrame) -> list[Report]:
        """Take one frame; return what the peer should know: gaps, and changes of the reference."""
        if self.queued >= FULL_MS * SAMPLE_RATE // 1000 and frame.mic is not None:
            return [self._overflow(frame.mic_start, frame.samples)]
        self._ms += (frame.ms - self._ms + _MS_WRAP // 2) % _MS_WRAP - _MS_WRAP // 2
        gaps = self._take_ref(frame) if frame.kind == Kind.REF else self._take_mic(frame)
        if self._seq is None or 0 < (frame.seq - self._seq) % _MS_WRAP < _MS_WRAP // 2:
            self._seq = frame.seq
        return [*gaps, *self._news()]

    def append(self, event: InputAudioAppend) -> list[Report]:
        """Take audio that came as JSON; it goes on where the audio before it ended."""
        mic = to_float(from_bytes(event.audio))
        start = self._sequence.next
        if self.queued >= FULL_MS * SAMPLE_RATE // 1000:
            return [self._overflow(start, len(mic))]
        ref = None if event.reference is None else to_float(from_bytes(event.reference))
        ms = 1000 * len(mic) / self._rate
        self._health.advance(ms)
        if ref is not None:
            self._health.hear(ref, ms)
        pair = np.stack([mic, np.zeros_like(mic) if ref is None else ref])
        return [*self._take(Piece(start, pair, patient=False)), *self._news()]

    def pop(self) -> tuple[int, Samples, Samples] | None:
        """Return the next hop, or None if it is not whole yet.

        Returns:
            Index of its first sample on the microphone's clock, at 16 kHz (a few samples before 0 at the
            start of a session that is resampled), microphone `(320,)` and reference `(320,)`.
        """
        if not self._hops:
            return None
        start, pair, restarted = self._hops[0]
        ref: Samples | None = pair[1]
        if self._far is not None:
            waited = (len(self._hops) - 1) * HOP * 1000 >= WAIT_FOR_REFERENCE_MS * SAMPLE_RATE
            ref = self._far.read(start, patient=not (waited or self._health.missing))
        if ref is None:
            return None
        self._hops.popleft()
        self.restarted = restarted
        self._health.compare(pair[0], ref)
        return start, pair[0], ref

    def _take_mic(self, frame: AudioFrame) -> list[AudioGap]:
        pair = np.zeros((2, frame.samples), np.float32)
        if frame.mic is not None and not frame.flags & Flag.MUTED:
            pair[0] = frame.mic
        if frame.ref is not None:
            pair[1] = frame.ref
        pair /= FULL_SCALE
        self._clock.observe(frame.mic_start + frame.samples, self._ms)
        ms = 1000 * frame.samples / self._rate
        self._health.advance(ms)
        if frame.kind == Kind.MIC_REF:
            self._far = None
            self._health.hear(pair[1], ms)
        return self._take(self._piece(frame, frame.mic_start, pair))

    def _take_ref(self, frame: AudioFrame) -> list[AudioGap]:
        ref = np.zeros(frame.samples, np.float32) if frame.ref is None else to_float(frame.ref)
        if self._far is None:
            self._far = FarEnd(self._rate, self._clock)
        self._health.hear(ref, 1000 * frame.samples / self._rate)
        return self._far.push(frame, self._piece(frame, frame.ref_start, ref[None]), self._ms)

    def _piece(self, frame: AudioFrame, start: int, audio: Samples) -> Piece:
        discontinuity = bool(frame.flags & Flag.DISCONTINUITY)
        # If no number is missing, nothing that is on its way can fill a hole.
        complete = self._seq is not None and (frame.seq - self._seq) % _MS_WRAP == 1
        replayed = bool(frame.flags & Flag.REPLAYED)
        return Piece(start, audio, not (complete or discontinuity), replayed, discontinuity)

    def _take(self, piece: Piece) -> list[AudioGap]:
        reports: list[AudioGap] = []
        for item in self._sequence.push(piece):
            if isinstance(item, AudioGap):
                reports.append(item)
                self._count(item, piece.length)
                continue
            if item.fresh:
                self._restart(item.start)
            self._extend(item.audio)
        return reports

    def _count(self, gap: AudioGap, length: int) -> None:
        frame_ms = 1000 * length / self._rate
        self.lost += round(gap.lost_ms / frame_ms)
        self.late += gap.dropped_ms > 0

    def _restart(self, start: int) -> None:
        """Finish the audio before an open gap, and begin again after it."""
        if self._started:
            # Silence brings out what the resampler holds and fills the last hop; the rest of it goes.
            self._extend(np.zeros((2, 2 * HOP * self._rate // SAMPLE_RATE), np.float32))
            self._fresh = True
        self._started = True
        padding = start % alignment(self._rate)
        self._resampler = make_resampler(self._rate, 2)
        self._rest = np.zeros((2, 0), np.float32)
        self._start = (start - padding) * SAMPLE_RATE // self._rate - self._resampler.latency
        self._extend(np.zeros((2, padding), np.float32))

    def _extend(self, audio: Samples) -> None:
        rest = self._resampler.process(audio)
        if self._rest.shape[1]:
            rest = np.concatenate([self._rest, rest], axis=1)
        for at in range(0, rest.shape[1] - HOP + 1, HOP):
            self._hops.append((self._start, rest[:, at : at + HOP], self._fresh))
            self._start += HOP
            self._fresh = False
        self._rest = rest[:, rest.shape[1] - rest.shape[1] % HOP :]

    def _overflow(self, start: int, samples: int) -> AudioGap:
        self.late += 1
        return AudioGap(
            at_ms=1000 * start / self._rate, dropped_ms=1000 * samples / self._rate, reason="overflow"
        )

    def _news(self) -> list[Report]:
        """Return the state of the reference if it has changed."""
        state, message, drift = self._health.state, self._health.message, self.drift_ppm
        if state is None:
            return []
        old = self._reported_drift
        drifted = drift is not None and (old is None or abs(drift - old) > _NEW_DRIFT_PPM)
        if (state, message) == self._reported and not drifted:
            return []
        self._reported, self._reported_drift = (state, message), drift
        at_ms = 1000 * self._sequence.next / self._rate
        return [Reference(state=state, at_ms=at_ms, drift_ppm=drift, message=message)]
