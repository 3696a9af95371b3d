"""``kill -9`` in the middle of traffic, again and again.

The server dies while sends, receipts and history are under way; while everybody reconnects; while
it is starting and recovering. Each time the clients repeat what was not answered, and at the end
every list is read anew by a new device of each of its members.
"""

import asyncio
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import uvloop

from tests.checker import check
from tests.faults.company import Company
from tests.faults.scenario import Options, Outcome, ScenarioFailed
from tests.server_process import OPEN_LIMITS, ServerProcess

USERS, DEVICES = 6, 2
ROUND_S = 30.0
"""A round that takes longer has failed."""
FEWEST, MOST = 50, 500
"""Sends acknowledged in a round before the server is killed."""
_START_S = 0.8
"""The longest that a starting server is left alone before it is killed: about what it needs."""


def run(options: Options, program: str = "chatd") -> Outcome:
    """Kill the server, which ``program`` is, once a round."""
    with TemporaryDirectory(prefix="chatd-kill-") as name:
        return uvloop.run(_run(options, Path(name), program))


async def _run(options: Options, folder: Path, program: str) -> Outcome:
    begun, random = time.perf_counter(), Random(options.seed)
    kinds = {"in_traffic": 0, "while_reconnecting": 0, "while_starting": 0}
    settings = {**OPEN_LIMITS, "log.level": "warning"}
    server = ServerProcess(folder, settings=settings, program=program)
    with server:
        async with Company(server, random, users=USERS, devices=DEVICES) as company:
            for _ in range(options.rounds):
                kind = random.choices(list(kinds), weights=(7, 2, 1))[0]
                kinds[kind] += 1
                await _disturb(kind, server, company, random)
                _kill(server)
                server.launch()
            await company.settle()
            await company.read_anew()
        if server.stop() != 0:
            raise ScenarioFailed("the server did not stop cleanly")
    verdict = check(company.records)
    seconds = round(time.perf_counter() - begun, 1)
    repeated = sum(device.repeated for device in company.devices)
    return Outcome(verdict, {"repeated": repeated, **kinds, "seconds": seconds})


async def _disturb(kind: str, server: ServerProcess, company: Company, random: Random) -> None:
    """Wait for the moment to kill, which a seed makes the same moment of the plot again."""
    if kind == "while_starting":
        await asyncio.sleep(random.uniform(0, _START_S))
    elif kind == "while_reconnecting":
        await company.more(1, ROUND_S)
        await asyncio.sleep(random.uniform(0, 0.02))
    else:
        await company.more(random.randint(FEWEST, MOST), ROUND_S)
        await asyncio.sleep(random.uniform(0, 0.005))


def _kill(server: ServerProcess) -> None:
    if not server.running:
        raise ScenarioFailed(f"the server died by itself:\n{server.log_tail()}")
    server.kill()
