"""A TCP proxy on loopback that slows, cuts, resets or swallows what passes; its fault can be changed."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

PIECE_S = 0.02  # between two bytes that dribble
LATE_S = 0.02
RESET = struct.pack("ii", 1, 0)


class Fault(Enum):
    """What becomes of the replies of the server behind the proxy."""

    NONE = "they pass"
    LATE = "each comes 20 ms late"
    DRIBBLE = "one byte every 20 ms"
    SLICED = "one byte after another, without delay"
    CUT = "the connection ends after half of the first one"
    RESET = "the connection is reset instead"
    BLACK_HOLE = "nothing comes, and nothing gets to the server"
    HALF_OPEN = "the server gets everything, its replies are lost"


class FaultProxy:
    """Passes connections on to a port of this machine, in a thread of its own."""

    def __init__(self, target_port: int) -> None:
        self.fault = Fault.NONE
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._pass, "127.0.0.1", 0)

    async def _end(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, forth))
                group.create_task(self._replies(back, writer))
        except* (OSError, EOFError):
            pass
        finally:
            forth.close()
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, forth: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.fault is not Fault.BLACK_HOLE:
                forth.write(data)
                await forth.drain()
        raise EOFError

    async def _replies(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await back.read(65_536):
            await self._reply(data, writer)
        raise EOFError

    async def _reply(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self.fault
        if fault is Fault.RESET:
            found = writer.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            raise EOFError
        if fault is Fault.CUT:
            writer.write(data[: len(data) // 2])
            await writer.drain()
            raise EOFError
        if fault in (Fault.DRIBBLE, Fault.SLICED):
            for place in range(len(data)):
                writer.write(data[place : place + 1])
                await writer.drain()
                await asyncio.sleep(PIECE_S if self.fault is Fault.DRIBBLE else 0)
            return
        if fault is Fault.LATE:
            await asyncio.sleep(LATE_S)
        if fault in (Fault.NONE, Fault.LATE):
            writer.write(data)
            await writer.drain()


@contextmanager
def fault_proxy(target_port: int) -> Iterator[FaultProxy]:
    proxy = FaultProxy(target_port)
    try:
        yield proxy
    finally:
        proxy.stop()
