"""The least that a client does: send both channels as they come, and hear what the server says.

duplex serve &
python minimal.py MIC.wav REF.wav
"""

import argparse
import asyncio
from pathlib import Path

from client.audio import load_pair
from client.duplex import DEFAULT_URL, DuplexClient


async def main(mic_file: Path, ref_file: Path, url: str) -> None:
    mic, ref, _ = load_pair(mic_file, ref_file, 48_000)

    async def microphone(client: DuplexClient) -> None:
        for start in range(0, len(mic), 480):  # any length will do; here 10 ms
            await client.send(mic[start : start + 480], ref[start : start + 480])
            await asyncio.sleep(0.01)
        await client.finish()  # what follows are the last transcripts, then the iteration ends

    async with DuplexClient(url, rate=48_000) as client:
        sending = asyncio.create_task(microphone(client))
        async for event in client:
            if event["type"] != "duplex.aec.stats":
                print(event["type"], event.get("transcript", ""))
        await sending


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mic", type=Path)
    parser.add_argument("ref", type=Path)
    parser.add_argument("--url", default=DEFAULT_URL)
    args = parser.parse_args()
    asyncio.run(main(args.mic, args.ref, args.url))
