"""People who read pages: each asks for one, looks at it for about a second, and asks for the next.

    python -m tests.bench.readers < ORDER

ORDER is one JSON object with the fields of Order; for each answer the output has a line: path, ms, bytes.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Order:
    """`think_seconds` is the mean of an exponential distribution, which is how long people stay on a page."""

    url: str
    cookie: str
    paths: Sequence[str]
    readers: int
    seconds: float
    think_seconds: float = 1


async def _read(order: Order, number: int, until: float) -> None:
    chance = random.Random(number)
    paths: list[str] = []
    # verify=False: all is plain http, and reading the certificates takes a second.
    async with httpx.AsyncClient(
        base_url=order.url, headers={"Cookie": order.cookie}, trust_env=False, timeout=120, verify=False
    ) as client:
        while True:
            await asyncio.sleep(chance.expovariate(1 / order.think_seconds))
            if time.perf_counter() > until:
                return
            if not paths:
                paths = chance.sample(order.paths, len(order.paths))
            path = paths.pop()
            began = time.perf_counter()
            answer = await client.get(path)
            milliseconds = (time.perf_counter() - began) * 1000
            assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
            print(json.dumps([path, milliseconds, len(answer.content)]), flush=True)


async def _main() -> None:
    order = Order(**json.loads(sys.stdin.readline()))
    until = time.perf_counter() + order.seconds
    await asyncio.gather(*(_read(order, number, until) for number in range(order.readers)))


if __name__ == "__main__":
    asyncio.run(_main())
