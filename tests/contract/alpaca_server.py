"""Our Alpaca server, as a process: python -m tests.contract.alpaca_server PORT SPOOL

It has the simulated observatory's devices, and gadgets for the kinds that those lack.
"""

import asyncio
import sys
from pathlib import Path

from tests.contract.bench import QUICK
from tests.contract.gadgets_in_process import gadgets

from astrod_drivers.sim.alpaca.__main__ import observatory_of, offers_of, serve
from astrod_drivers.sim.alpaca.server import AlpacaServer
from astrod_drivers.wallclock import WallClock


async def main(port: int, spool: Path) -> None:
    clock = WallClock()
    observatory = observatory_of(QUICK, clock, spool)
    server = AlpacaServer({**offers_of(observatory), **gadgets(clock)}, clock)
    await serve(server, "127.0.0.1", port, None)
    await observatory.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
