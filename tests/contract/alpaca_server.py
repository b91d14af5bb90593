"""Our Alpaca server, as a process: python -m tests.contract.alpaca_server PORT SPOOL

It has the devices of the simulated observatory, and a dome.
"""

import asyncio
import sys
from pathlib import Path

from tests.contract.bench import DOME, QUICK

from astrod_drivers.sim.alpaca.__main__ import observatory_of, offers_of, serve
from astrod_drivers.sim.alpaca.server import AlpacaServer
from astrod_drivers.wallclock import WallClock


async def main(port: int, spool: Path) -> None:
    clock = WallClock()
    observatories = [observatory_of(setup, clock, spool) for setup in (QUICK, DOME)]
    offers = {name: offer for observatory in observatories for name, offer in offers_of(observatory).items()}
    await serve(AlpacaServer(offers, clock), "127.0.0.1", port, None)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
