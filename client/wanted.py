"""What a client asks the service for at the start of a session."""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]


def wanted_session(rate: int, cleaned_audio: bool, extra: Settings) -> Settings:
    """Return the settings for `session.update`.

    Args:
        rate: Of the audio that is sent, in Hz.
        cleaned_audio: It is wanted back.
        extra: Laid over what a client asks for by itself.
    """
    base: Settings = {
        "type": "transcription",
        "audio": {"input": {"format": {"type": "audio/pcm", "rate": rate}}},
        "duplex": {"cleaned_audio": cleaned_audio},
    }
    return _merge(base, extra)


def _merge(base: Settings, extra: Settings) -> Settings:
    """Return `base` with the keys of `extra` laid over it, nested objects merged."""
    merged = dict(base)
    for key, value in extra.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
