"""Which microphone and which loudspeaker, at what rate and with how many channels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

Direction = Literal["input", "output"]

# What sound cards offer; the device's own rate is tried before.
_RATES = (48_000, 44_100, 16_000, 32_000, 96_000, 8_000)


class DeviceError(Exception):
    """A device is missing, cannot be opened or has stopped; the message says which and what to do."""


@dataclass(frozen=True)
class Device:
    """One device of the system; `inputs` and `outputs` count channels, `rate` is in Hz."""

    index: int
    name: str
    host: str
    inputs: int
    outputs: int
    rate: int


@dataclass(frozen=True)
class Setup:
    """How to open one full-duplex stream.

    Attributes:
        microphone: Device that captures.
        loudspeaker: Device that plays.
        rate: Of both, Hz.
        inputs: Channels to open of the microphone's device.
        outputs: Channels to open of the loudspeaker's; all of them play the same.
        channel: Which of `inputs` is the microphone, from 0.
    """

    microphone: Device
    loudspeaker: Device
    rate: int
    inputs: int
    outputs: int
    channel: int


def portaudio() -> ModuleType:
    """Import sounddevice.

    Raises:
        DeviceError: If it or the PortAudio library is not there.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise DeviceError("sounddevice is missing: pip install 'duplex-aec[desktop]'") from error
    except OSError as error:
        raise DeviceError(
            "the PortAudio library is missing: apt-get install libportaudio2 (Debian, Ubuntu)"
        ) from error
    return sounddevice


def list_devices() -> list[Device]:
    """Return the devices that PortAudio finds now.

    Raises:
        DeviceError: If PortAudio is not there.
    """
    sounddevice = portaudio()
    hosts = [host["name"] for host in sounddevice.query_hostapis()]
    return [_device(entry, hosts) for entry in sounddevice.query_devices()]


def find(devices: Iterable[Device], wanted: str | None, direction: Direction) -> Device:
    """Return the device of a number or of a part of a name; None is the system's default.

    Raises:
        DeviceError: If there is none, or if several fit.
    """
    able = [device for device in devices if _channels(device, direction)]
    if not able:
        raise DeviceError(f"this machine has no audio {direction} device that PortAudio can see")
    if wanted is None:
        return _default(able, direction)
    if wanted.isdecimal():
        fitting = [device for device in able if device.index == int(wanted)]
    else:
        words = wanted.casefold()
        fitting = [device for device in able if words in f"{device.name}, {device.host}".casefold()]
        fitting = [device for device in fitting if device.name.casefold() == words] or fitting
    if len(fitting) == 1:
        return fitting[0]
    what = "no" if not fitting else "more than one"
    shown = "; ".join(f"{device.index} {device.name}, {device.host}" for device in fitting or able)
    raise DeviceError(f"{what} {direction} device fits {wanted!r}: {shown}")


def choose(microphone: str | None, loudspeaker: str | None, rate: int | None, channel: int) -> Setup:
    """Find both devices and a rate and channel counts that both take.

    Args:
        microphone: Number or part of a name; None is the default.
        loudspeaker: The same.
        rate: In Hz; None for what the devices like best.
        channel: Of the microphone's device, from 1.

    Raises:
        DeviceError: If that cannot be had; the message says why.
    """
    devices = list_devices()
    one, other = find(devices, microphone, "input"), find(devices, loudspeaker, "output")
    if not 1 <= channel <= one.inputs:
        raise DeviceError(f"{one.name} has {one.inputs} input channels: there is no channel {channel}")
    tried = [rate] if rate else list(dict.fromkeys([one.rate, other.rate, *_RATES]))
    for each in tried:
        inputs = _open_channels(one, "input", each, channel)
        outputs = _open_channels(other, "output", each, min(2, other.outputs))
        if inputs and outputs:
            return Setup(one, other, each, inputs, outputs, channel - 1)
    at = f"at {rate} Hz" if rate else "at any common rate"
    raise DeviceError(f"{one.name} and {other.name} cannot be opened together {at}")


def open_input(wanted: str, rate: int | None = None) -> tuple[Device, int, int]:
    """Find a device that is only listened to; return it, its rate and the channels to open.

    Raises:
        DeviceError: If that cannot be had.
    """
    device = find(list_devices(), wanted, "input")
    for each in [rate] if rate else dict.fromkeys([device.rate, *_RATES]):
        channels = _open_channels(device, "input", each, min(2, device.inputs))
        if channels:
            return device, each, channels
    raise DeviceError(f"{device.name} cannot be opened")


def _device(entry: dict[str, Any], hosts: list[str]) -> Device:
    return Device(
        index=int(entry["index"]),
        name=str(entry["name"]),
        host=hosts[entry["hostapi"]],
        inputs=int(entry["max_input_channels"]),
        outputs=int(entry["max_output_channels"]),
        rate=round(entry["default_samplerate"]),
    )


def _channels(device: Device, direction: Direction) -> int:
    return device.inputs if direction == "input" else device.outputs


def _default(able: list[Device], direction: Direction) -> Device:
    """Return the default of the system, or of the first host that has one."""
    sounddevice = portaudio()
    chosen = sounddevice.default.device[0 if direction == "input" else 1]
    fallback = [host[f"default_{direction}_device"] for host in sounddevice.query_hostapis()]
    by_index = {device.index: device for device in able}
    for index in (chosen, *fallback):
        if index in by_index:
            return by_index[index]
    return able[0]


def _open_channels(device: Device, direction: Direction, rate: int, needed: int) -> int | None:
    """Return the smallest channel count of at least `needed` that the device takes at this rate, or None.

    Raw sound cards may take all of their channels or nothing.
    """
    sounddevice = portaudio()
    check = sounddevice.check_input_settings if direction == "input" else sounddevice.check_output_settings
    for count in sorted({needed, _channels(device, direction)}):
        try:
            check(device=device.index, channels=count, dtype="float32", samplerate=rate)
        except (sounddevice.PortAudioError, ValueError):
            continue
        return count
    return None
