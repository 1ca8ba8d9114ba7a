"""A pytest plugin for tests of one's own dialogue against the service.

```python
from client.call import call
from client.stream import stream_pair

pytest_plugins = ["client.testing"]


async def test_the_person_is_understood(duplex_server):
    talk = call("person.wav", "agent.wav", near_at_s=1.0, delay_ms=120, echo_db=-3)
    result = await stream_pair(duplex_server.url, talk.mic, talk.ref, speed="max")
    assert "weather" in result.transcripts[0]
```
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from client.local_server import LocalServer, local_server


@pytest.fixture(scope="session")
def duplex_options() -> Sequence[str]:
    """Options for `duplex serve`; give a fixture of this name to have others, `["--asr", "none"]`."""
    return []


@pytest.fixture(scope="session")
def duplex_server(duplex_options: Sequence[str]) -> Iterator[LocalServer]:
    """Run the service on a free port until the last test is over; `url` is its WebSocket."""
    with local_server(*duplex_options) as server:
        yield server
