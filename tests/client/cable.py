"""A cable between a client and a server that tests cut."""

import asyncio
import contextlib
from urllib.parse import urlsplit


class Cable:
    """A TCP proxy to a server at `url`; the client is told `self.url`.

    Attributes:
        refusals: So many of the next connections are cut at once …
        answer: … or are told this first, as a proxy does that finds no server.
        tries: Connections that were asked for.
        asked: The path and the query of each that was let through.
        deaf: What the server sends is lost.
    """

    def __init__(self, url):
        self._target = urlsplit(url)
        self._open = []
        self._tasks = set()
        self.refusals = 0
        self.answer = b""
        self.tries = 0
        self.asked = []
        self.deaf = False
        self._swallowed, self._news = b"", asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}{self._target.path}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, refusals=0):
        """Break all connections in both directions, without a word; what is on its way is lost."""
        self.refusals, self.deaf = refusals, False
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def swallows(self, what):
        while what not in self._swallowed:
            self._news.clear()
            await self._news.wait()

    async def _serve(self, reader, writer):
        self.tries += 1
        self._tasks.add(asyncio.current_task())
        if self.refusals:
            self.refusals -= 1
            if self.answer:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer)
                await writer.drain()
                writer.close()
            else:
                writer.transport.abort()
            return
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._open += [writer, back]
        request = await reader.readline()
        self.asked += [part.decode() for part in request.split()[1:2]]
        back.write(request)
        try:
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        finally:
            writer.transport.abort()
            back.transport.abort()

    async def _carry(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self.deaf and writer not in self._open[1::2]:
                    self._swallowed += data
                    self._news.set()
                    continue
                writer.write(data)
                await writer.drain()
            writer.write_eof()
