"""One session's ears: cleaned audio in, turns, barge-ins and transcripts out.

Synchronous and without I/O. Nothing in here waits: the turn model and the recogniser answer
later, and their answers are collected with the next hop or by `drain`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from typing import assert_never

from aec_core.types import HOP, SAMPLE_RATE
from server.asr.service import RecognitionService
from server.captions import to_ms
from server.decisions import Decision, Interrupted, Paused, Regretted, Started, Stopped, Timing
from server.endpointer import Endpointer, SemanticVad
from server.events import (
    BargeIn,
    DuringPlayback,
    ErrorBody,
    ErrorEvent,
    FalseInterruption,
    InputAudioCleared,
    InputAudioCommitted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TranscriptionCompleted,
    TranscriptionDelta,
)
from server.floor import Claim, Floor
from server.gate import EchoGate, GateConfig, GateReading
from server.history import History
from server.hop import CleanHop
from server.listener_settings import ListenerSettings
from server.scribe import Scribe
from server.trace import Tracer
from server.turn import WINDOW, Turns

_MS = SAMPLE_RATE // 1000
_AFTER_SPEECH = 64 * _MS  # silence that the turn model hears; more of it costs accuracy
# Over the agent the suppressor eats into speech, and Silero is less sure of what is left. A level
# far above the echo makes up for it.
_FAR_ABOVE_DB = 10.0
_BONUS = 0.3
_MOMENT = 600 * _MS  # a talker who spoke within it is likely to speak on


class Listener:
    """Turns the cleaned audio of one session into events.

    Attributes:
        doubts_client: What the client says of its playback is not true: the reference decides.
    """

    def __init__(
        self,
        settings: ListenerSettings,
        turns: Turns,
        recognizer: RecognitionService | None,
        new_item_id: Callable[[], str],
        gate: GateConfig | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Begin to listen.

        Args:
            settings: What the client chose.
            turns: Judges whether a pause ends a turn.
            recognizer: Writes transcripts; None for a service without.
            new_item_id: Names the next item.
            gate: What counts as louder than echo.
            timing: Durations of the endpointer.
        """
        self.doubts_client = False
        self._settings = settings
        self._turns = turns
        self._scribe = Scribe(recognizer)
        self._new_item_id = new_item_id
        self._timing = timing or Timing()
        self._gate = EchoGate(gate)
        self._floor = Floor(settings.backchannels)
        self._endpointer = Endpointer(settings.detection, self._timing, floor=self._floor)
        self._gated_audio = History(WINDOW + SAMPLE_RATE)
        self._now = 0
        self._audible_at = 0  # when there was last more than echo
        self._client_plays: bool | None = None
        self._item_id = ""
        self._item_start: int | None = None  # of the open turn
        self._committed_id: str | None = None
        self._judgement: tuple[int, Future[float]] | None = None  # end of the pause, P(complete)
        self._tracer = Tracer() if settings.trace else None
        self._events: list[ServerEvent] = []

    @property
    def pending(self) -> bool:
        """Events may come without more audio: a transcript is due."""
        return self._scribe.pending or bool(self._events)

    @property
    def in_turn(self) -> bool:
        """Somebody has the floor."""
        return self._item_start is not None

    def process(self, hop: CleanHop) -> list[ServerEvent]:
        """Take one hop, and whatever the workers have finished."""
        self._now = hop.start + HOP
        hearing, spoke = self._endpointer.hearing, self._now - self._endpointer.voice_end < _MOMENT
        located = not math.isnan(hop.delay_ms)
        reading = self._gate.process(
            hop.vad_power, hop.echo_power, hop.ref_power, hearing, self.in_turn and spoke, located
        )
        says = None if self.doubts_client else self._client_plays
        playing = reading.ref_active if says is None else says
        asr = hop.pcm[:, 1]
        self._scribe.hear(hop.start, asr, reading)
        if reading.open or not reading.ref_active:
            self._audible_at = self._now
        recently = self._now - self._audible_at < _MOMENT
        self._gated_audio.push(hop.start, asr if recently else None)
        self._collect()
        far_above = reading.ref_active and reading.near_dbfs - reading.residual_dbfs > _FAR_ABOVE_DB
        speech = hop.speech + _BONUS * far_above
        if self._settings.detection is None:
            self._record(hop.start)
        else:
            self._act(self._endpointer.process(hop.start, speech, reading.open, playing))
        self._trace(hop.start, speech, reading, playing)
        return self._emit()

    def drain(self) -> list[ServerEvent]:
        """Collect what the workers have finished, without audio."""
        self._collect()
        return self._emit()

    def playback(self, playing: bool) -> None:
        """Believe the client about its loudspeaker from now on, rather than the reference."""
        self._client_plays = playing

    def playing(self, text: str | None) -> None:
        """Learn what the agent's voice says from now on: its words are no interruption.

        Args:
            text: All of the sentence or passage that begins to play; None: nothing, or not known.
        """
        self._floor.playing(text)

    def harmless(self, text: str) -> bool:
        """Say of the words of a turn that they only agree, or are the agent's own, or are none."""
        return self._floor.claim(text) in (Claim.NOTHING, Claim.HARMLESS)

    def commit(self, event_id: str | None = None) -> list[ServerEvent]:
        """End the turn now; an error, which names the client's event, if there is none."""
        if not self.in_turn:
            message, code = "there is no speech to commit", "input_audio_buffer_commit_empty"
            self._events.append(ErrorEvent(error=ErrorBody(code=code, message=message, event_id=event_id)))
        elif self._settings.detection is None:
            self._commit()
        else:
            self._act(self._endpointer.stop("commit"))
        return self._emit()

    def clear(self) -> list[ServerEvent]:
        """Drop the open turn and what was heard before it."""
        self._act(self._endpointer.forget())
        self._drop_judgement()
        self._scribe.drop()
        self._item_start = None
        self._events.append(InputAudioCleared())
        return self._emit()

    def configure(self, settings: ListenerSettings) -> None:
        """Change the settings; an open turn ends if turns are found in another way from now on.

        Language and hotwords hold from the next turn.
        """
        if (settings.detection is None) != (self._settings.detection is None):
            self._act(self._endpointer.stop("configured"))
            if self.in_turn:
                self._commit()
            self._endpointer = Endpointer(settings.detection, self._timing, self._now, self._floor)
        elif settings.detection is not None:
            self._endpointer.detection = settings.detection
        self._floor.agree_by(settings.backchannels)
        self._tracer = (self._tracer or Tracer()) if settings.trace else None
        self._settings = settings

    def close(self) -> None:
        """Let the workers forget this session."""
        self._drop_judgement()
        self._scribe.close()

    def _trace(self, start: int, speech: float, reading: GateReading, playing: bool) -> None:
        if self._tracer is None:
            return
        state = self._endpointer.state.value if self._settings.detection else "recording"
        trace = self._tracer.process(start, speech, reading, playing, state)
        if trace is not None:
            self._events.append(trace)

    def _emit(self) -> list[ServerEvent]:
        events, self._events = self._events, []
        return events

    def _collect(self) -> None:
        if self._judgement is not None and self._judgement[1].done():
            end, future = self._judgement
            self._judgement = None
            if not future.cancelled() and future.exception() is None:
                self._endpointer.judge(end, future.result())
                if self._tracer is not None:
                    self._tracer.judged(self._now, end, future.result())
        for event in self._scribe.poll():
            self._events.append(event)
            if isinstance(event, TranscriptionDelta):
                self._act(self._endpointer.heard(event.text, round(event.end_ms * _MS), event.stable))
            elif isinstance(event, TranscriptionCompleted):
                self._act(self._endpointer.understood(event.transcript))

    def _record(self, start: int) -> None:
        """Keep a turn open from one commit to the next, no longer than a recogniser can take."""
        if self._item_start is None:
            self._open(start)
        elif self._now - self._item_start >= self._timing.longest_turn * _MS:
            self._commit()

    def _act(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            if self._tracer is not None:
                self._tracer.decided(self._now, decision)
            match decision:
                case Started():
                    self._start(decision)
                case Paused():
                    self._ask(decision.end)
                case Stopped():
                    self._stop(decision)
                case Interrupted():
                    self._events.append(
                        BargeIn(
                            stage=decision.stage,
                            reason=decision.reason,
                            audio_ms=to_ms(decision.audio),
                            item_id=self._item_id,
                        )
                    )
                case Regretted():
                    self._events.append(
                        FalseInterruption(
                            reason=decision.reason, audio_ms=to_ms(decision.audio), item_id=self._item_id
                        )
                    )
                case _:
                    assert_never(decision)

    def _start(self, decision: Started) -> None:
        self._open(decision.start)
        self._events.append(
            SpeechStarted(
                audio_start_ms=to_ms(decision.start),
                item_id=self._item_id,
                duplex=DuringPlayback(during_playback=decision.during_playback),
            )
        )

    def _open(self, start: int) -> None:
        self._item_id, self._item_start = self._new_item_id(), start
        if self._settings.transcribe:
            self._scribe.open(self._item_id, start, self._settings.language, self._settings.hotwords)

    def _ask(self, pause_start: int) -> None:
        """Ask the turn model about the speech before a pause."""
        self._drop_judgement()
        if isinstance(self._settings.detection, SemanticVad) and self._item_start is not None:
            audio = self._gated_audio.read(self._item_start, pause_start + _AFTER_SPEECH)
            self._judgement = (pause_start, self._turns.submit(audio))

    def _stop(self, decision: Stopped) -> None:
        self._drop_judgement()
        self._events.append(
            SpeechStopped(
                audio_end_ms=to_ms(decision.end),
                item_id=self._item_id,
                duplex=StopReason(
                    reason=decision.reason, silence_ms=to_ms(decision.silence), p_turn=decision.p_turn
                ),
            )
        )
        self._commit()

    def _commit(self) -> None:
        self._events.append(InputAudioCommitted(item_id=self._item_id, previous_item_id=self._committed_id))
        self._committed_id = self._item_id
        self._scribe.finish()
        self._item_start = None

    def _drop_judgement(self) -> None:
        if self._judgement is not None:
            self._judgement[1].cancel()
        self._judgement = None
