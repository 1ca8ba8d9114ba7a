"""Live captions of a pair of files: a line that grows while the person speaks, then the transcript.

python captions.py MIC.wav REF.wav [--speed max]
"""

import argparse
import asyncio
from pathlib import Path

from client.audio import load_pair
from client.duplex import DEFAULT_URL, Event
from client.stream import stream_pair


def caption(event: Event) -> None:
    kind = event["type"].removeprefix("conversation.item.input_audio_transcription.")
    if kind == "delta":
        print(f"\r{event['start_ms'] / 1000:7.2f} s  {event['text']} …", end="", flush=True)
    elif kind == "completed":
        print(f"\r          “{event['transcript'].strip()}”")
    elif kind == "input_audio_buffer.speech_stopped":
        print(f"\r{event['audio_end_ms'] / 1000:7.2f} s  ({event['duplex']['reason']})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mic", type=Path)
    parser.add_argument("ref", type=Path)
    parser.add_argument("--url", default=DEFAULT_URL)
    parser.add_argument("--speed", choices=["realtime", "max"], default="realtime")
    args = parser.parse_args()
    mic, ref, _ = load_pair(args.mic, args.ref, 16_000)
    asyncio.run(stream_pair(args.url, mic, ref, speed=args.speed, on_event=caption))
