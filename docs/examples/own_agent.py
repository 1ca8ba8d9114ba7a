"""An agent of your own: it speaks, grows quiet when somebody may interrupt, and stops when they do.

The agent here is a sound file and the person another; in your program the agent is your dialogue, and the
person and the room are real: then `heard` is what the microphone captured while `played` was played.

    python own_agent.py AGENT.wav PERSON.wav
"""

import argparse
import asyncio
from pathlib import Path

import numpy as np

from client.audio import load_mono
from client.dialogue import Room
from client.duplex import DEFAULT_URL, DuplexClient, Event
from client.wire import to_int16

RATE, HOP = 16_000, 320


class Agent:
    """Says one thing, and knows what of it was heard."""

    def __init__(self, voice: np.ndarray) -> None:
        self.voice = voice
        self.place = 0
        self.volume = 1.0

    @property
    def speaks(self) -> bool:
        return self.place < len(self.voice)

    def play(self) -> np.ndarray:
        """Return the next 20 ms for the loudspeaker: they are the reference too, at the volume of now."""
        piece = self.voice[self.place : self.place + HOP]
        self.place += len(piece)
        return np.rint(np.pad(piece, (0, HOP - len(piece))) * self.volume).astype(np.int16)

    def hear(self, event: Event) -> None:
        match event:
            case {"type": "duplex.barge_in", "stage": "duck"}:
                self.volume = 0.25
            case {"type": "duplex.false_interruption"}:
                self.volume = 1.0
            case {"type": "duplex.barge_in", "stage": "commit"} if self.speaks:
                print(f"interrupted after {self.place / RATE:.1f} s")
                self.voice = self.voice[: self.place]
            case {"type": "conversation.item.input_audio_transcription.completed"}:
                print(f"the person said: {event['transcript'].strip()}")  # here your dialogue would answer


async def main(agent: Agent, person: np.ndarray, url: str) -> None:
    room = Room(delay_ms=120, echo=0.5)
    async with DuplexClient(url) as client:

        async def listen() -> None:
            async for event in client:
                agent.hear(event)
                if event["type"].endswith("transcription.completed"):
                    return

        listening = asyncio.create_task(listen())
        place, playing = 0, None
        while not listening.done():
            if agent.speaks != playing:
                playing = agent.speaks
                await client.playback(playing)
            piece = person[place : place + HOP]
            place, near = place + HOP, np.pad(piece, (0, HOP - len(piece)))
            played = agent.play()
            heard = room.microphone(near, played)
            await client.send(heard, played)
            await asyncio.sleep(HOP / RATE)
        listening.result()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("agent", type=Path)
    parser.add_argument("person", type=Path)
    parser.add_argument("--url", default=DEFAULT_URL)
    args = parser.parse_args()
    agent = Agent(to_int16(load_mono(args.agent, RATE)))
    asyncio.run(main(agent, to_int16(load_mono(args.person, RATE)), args.url))
