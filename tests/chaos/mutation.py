"""Messages that are nearly right: what broken clients and attackers send. Seeded, so each run is the same."""

import json
import struct
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "protocol.json").read_text())
FRAMES = [(frame["rate"], bytes.fromhex(frame["hex"])) for frame in GOLDEN["frames"]]
EVENTS: list[dict[str, Any]] = GOLDEN["events"]

_ODD_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF)
_ODD_VALUES: list[Any] = [
    None,
    True,
    "",
    "\x00",
    "\u202e",
    "A" * 5000,
    "AAA=",
    0,
    -1,
    2**53,
    -(2**63),
    10**30,
    1e308,
    -0.0,
    [],
    {},
    [[[[]]]],
    {"type": "session.update"},
]
_ODD_TEXTS = ["\ud800", "NaN", "\x00", "}", ",", '"', "\\u0000", "[" * 50, "1e999", "\ufeff"]


def frame_for(rng: np.random.Generator, rate: int) -> bytes:
    """Return one of the golden frames, most often one that fits the rate."""
    fitting = [frame for at, frame in FRAMES if at == rate or rng.random() < 0.1]
    return fitting[rng.integers(len(fitting))] if fitting and rng.random() < 0.5 else _silence(rate)


def _silence(rate: int) -> bytes:
    """Return 20 ms of both channels at any rate."""
    samples = rate // 50
    header = struct.pack("<BBHIQQHBBI", 1, 1, 4, 0, 0, 0, samples, 2, 1, 0)
    return header + bytes(4 * samples)


def mutated_frame(rng: np.random.Generator, rate: int = 16_000) -> bytes:
    """Return an audio frame with one to four bytes or lengths changed, most often of the header."""
    message = bytearray(frame_for(rng, rate))
    for _ in range(rng.integers(1, 5)):
        if not message:
            break
        at = int(rng.integers(min(len(message), 32)) if rng.random() < 0.8 else rng.integers(len(message)))
        match rng.integers(5):
            case 0:
                message[at] ^= 1 << int(rng.integers(8))
            case 1:
                message[at] = _ODD_BYTES[rng.integers(len(_ODD_BYTES))]
            case 2:
                del message[at : at + int(rng.integers(1, 9))]
            case 3:
                message[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case _:
                message = message[: at + 1]
    return bytes(message)


def mutated_event(rng: np.random.Generator) -> str:
    """Return an event with a field changed, dropped or added, or with its text cut or spoiled."""
    event = deepcopy(EVENTS[rng.integers(len(EVENTS))])
    for _ in range(rng.integers(1, 4)):
        _change(rng, event)
    text = json.dumps(event, ensure_ascii=bool(rng.integers(2)))
    if rng.random() < 0.3:
        at = int(rng.integers(len(text)))
        spoiled = str(_ODD_TEXTS[rng.integers(len(_ODD_TEXTS))])
        text = text[:at] + spoiled + text[at + int(rng.integers(3)) :]
    return text


def _change(rng: np.random.Generator, event: Any) -> None:
    """Change one value somewhere inside."""
    while True:
        keys = list(event) if isinstance(event, dict) else list(range(len(event)))
        if not keys:
            return
        key = keys[rng.integers(len(keys))]
        if isinstance(event[key], dict | list) and rng.random() < 0.8:
            event = event[key]
            continue
        value = deepcopy(_ODD_VALUES[rng.integers(len(_ODD_VALUES))])
        if isinstance(event, dict) and rng.random() < 0.2:
            event.pop(key)
        elif isinstance(event, dict) and rng.random() < 0.2:
            event[str(key) + "_"] = value
        else:
            event[key] = value
        return
