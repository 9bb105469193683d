"""A TCP link that can be cut, reset, made slow, or let packets vanish in one direction or both."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress

UP, DOWN = "up", "down"  # from the client to the hub, and back
_AT_ONCE = 16_384
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, and forget what was not sent


class BadLink:
    """Passes bytes on to a port of this host, from a thread of its own.

    Attributes:
        port: where clients connect.
        vanishing: directions in which bytes are read and forgotten: who sends them sees nothing of it.
        stalled: directions in which nothing is read, so that the sender's buffers fill up.
        delay: seconds before each piece is passed on.
        refuses: whether new connections are reset.
        connections: how many were made so far.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self.vanishing = frozenset()
        self.stalled = frozenset()
        self.delay = 0.0
        self.refuses = False
        self.connections = 0
        self._pairs = set()
        self._tasks = set()
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="bad-link", daemon=True)
        self._thread.start()

    def heal(self) -> None:
        """Pass on all that comes from now on; what vanished stays away."""
        self.vanishing = self.stalled = frozenset()
        self.delay, self.refuses = 0.0, False

    def cut(self) -> None:
        """End all connections in good order."""
        self._on_all(lambda end: end.close())

    def reset(self) -> None:
        """End all connections with a reset."""
        self._on_all(_reset)

    def close(self) -> None:
        self.reset()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _on_all(self, act) -> None:
        done = threading.Event()

        def on_all():
            for end in [end for pair in self._pairs for end in pair]:
                act(end)
            self._pairs.clear()
            done.set()

        self._loop.call_soon_threadsafe(on_all)
        done.wait(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, sock=self._listener))
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _accept(self, from_client, to_client) -> None:
        self.connections += 1
        if self.refuses:
            _reset(to_client)
            return
        try:
            from_hub, to_hub = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            _reset(to_client)
            return
        pair = to_client, to_hub
        self._pairs.add(pair)
        try:
            await asyncio.gather(
                self._pass_on(UP, from_client, to_hub), self._pass_on(DOWN, from_hub, to_client)
            )
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.close()

    async def _pass_on(self, way, source, sink) -> None:
        with suppress(OSError):
            while True:
                while way in self.stalled:  # noqa: ASYNC110 - a flag that another thread sets
                    await asyncio.sleep(0.01)
                data = await source.read(_AT_ONCE)
                if not data:
                    break
                if self.delay:
                    await asyncio.sleep(self.delay)
                if way not in self.vanishing:
                    sink.write(data)
                    await sink.drain()
        sink.close()


def _reset(end) -> None:
    with suppress(OSError, AttributeError):
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.transport.abort()
