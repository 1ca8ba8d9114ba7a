"""The turn model in the tier, and the one at hand for when that does not answer in time."""

from __future__ import annotations

import logging
import threading
from time import monotonic

from pydantic import ValidationError

from aec_core.types import Samples
from server.tier.link import Link, TierAway, TierLost
from server.tier.wire import TURN_PATH, Judged, to_pcm
from server.turn import WINDOW, TurnModel

_ANSWER_S = 0.25  # what an opinion may cost before the pause has gone on without it
_AWAY_S = 2.0  # the tier is not asked again before

logger = logging.getLogger(__name__)


class TierTurn:
    """P(complete) from the tier, else from a model of this process."""

    def __init__(self, address: str, at_hand: TurnModel) -> None:
        self._link = Link(address, TURN_PATH)
        self._at_hand = at_hand
        self._lock = threading.Lock()  # the model at hand has one core
        self._ask_at = 0.0

    def predict(self, audio: Samples) -> float:
        """Return P(complete) of a turn `(n,)`."""
        if monotonic() >= self._ask_at:
            try:
                return self._ask(audio)
            except (TierAway, TierLost, ValidationError) as error:
                logger.warning("no turn model in the tier, asking the one at hand: %s", error)
                self._ask_at = monotonic() + _AWAY_S
        with self._lock:
            return self._at_hand.predict(audio)

    def close(self) -> None:
        """Drop the connections."""
        self._link.close()

    def _ask(self, audio: Samples) -> float:
        fine, content = self._link.post(to_pcm(audio[-WINDOW:]), _ANSWER_S)
        if not fine:
            raise TierLost("the turn model failed")
        return Judged.model_validate_json(content).p_turn
