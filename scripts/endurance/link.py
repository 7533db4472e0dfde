"""A TCP proxy that can stop forwarding, as a network does on which packets are lost and nobody is told."""

import asyncio
import contextlib
import socket
import struct
import threading


class Links:
    """All links, in one thread with an event loop of its own."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def open(self, target):
        """A link to `target`: the path of a Unix socket, or (address, port)."""
        link = Link(target)
        asyncio.run_coroutine_threadsafe(link.listen(), self.loop).result(10)
        return link

    def cut(self, link, is_cut):
        asyncio.run_coroutine_threadsafe(link.set_cut(is_cut), self.loop).result(10)

    def close(self):
        asyncio.run_coroutine_threadsafe(self.end_all(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    async def end_all(self):
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Link:
    def __init__(self, target):
        self.target = target
        self.port = 0
        self.flowing = asyncio.Event()
        self.connections = set()
        self.server = None

    async def listen(self):
        self.flowing.set()
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def set_cut(self, is_cut):
        """What is sent during a cut is lost: the connections that it met are reset at its end, and nothing of it
        arrives late."""
        if is_cut:
            self.flowing.clear()
            return
        for connection in list(self.connections):
            connection.cancel()
        self.flowing.set()

    async def accept(self, reader, writer):
        connection = asyncio.current_task()
        self.connections.add(connection)
        writers = [writer]
        try:
            await self.flowing.wait()
            if isinstance(self.target, str):
                far = await asyncio.open_unix_connection(self.target)
            else:
                far = await asyncio.open_connection(*self.target)
            writers.append(far[1])
            await asyncio.gather(self.carry(reader, far[1]), self.carry(far[0], writer))
        except (OSError, asyncio.CancelledError):
            for one in writers:
                reset(one)
        finally:
            self.connections.discard(connection)
            for one in writers:
                one.close()

    async def carry(self, reader, writer):
        while data := await reader.read(65536):
            await self.flowing.wait()
            writer.write(data)
            await writer.drain()
        await self.flowing.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()


def reset(writer):
    """Makes the close a reset, so that the other side learns of it and nothing that is queued is sent."""
    with contextlib.suppress(OSError, AttributeError):
        peer = writer.get_extra_info("socket")
        if peer.family != socket.AF_UNIX:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
