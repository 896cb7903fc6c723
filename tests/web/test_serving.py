"""How the server listens."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from prodsense.web.serve import listen


def test_answers_are_sent_at_once() -> None:
    """An answer of two writes on a kept connection else waits 40 ms for the reader's word that the first arrived."""

    async def accepted() -> int:
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: Any, writer: asyncio.StreamWriter) -> None:
            told.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0) as listening:
            async with await asyncio.start_server(connected, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                writer.close()
                return await told

    assert asyncio.run(accepted())
