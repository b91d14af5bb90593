"""The benches that the contract is run on."""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.alpaca_bench import SIMULATORS_PYTHON, AlpacaBench, free_port, running
from tests.contract.bench import QUICK, Bench, IndiBench, SessionBench, SimBench

from astrod_drivers.indi.server import SIMULATORS, IndiServer, missing


@pytest.fixture(scope="session")
def indiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndiServer]:
    """One indiserver for all tests; whoever breaks it mends it."""
    if why := missing():
        pytest.skip(why)
    server = IndiServer()
    server.start([program for program, _ in SIMULATORS.values()], tmp_path_factory.mktemp("indi"))
    yield server
    server.stop()


@pytest.fixture
async def indi_bench(indiserver: IndiServer, tmp_path: Path) -> AsyncIterator[IndiBench]:
    bench = IndiBench(tmp_path, indiserver)
    yield bench
    await bench.close()


@pytest.fixture(scope="session")
def sim_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The simulated observatory as a process of its own; its folder, with `socket`, `epoch` and `spool`."""
    folder = tmp_path_factory.mktemp("sim")
    (folder / "setup.json").write_text(QUICK.to_json())
    command = [sys.executable, "-m", "astrod_drivers.sim.serve", "--setup", str(folder / "setup.json")]
    command += ["--socket", str(folder / "socket"), "--spool", str(folder / "spool")]
    process = subprocess.Popen([*command, "--gate", str(folder / "epoch")])
    deadline = time.monotonic() + 20.0
    while not (folder / "socket").exists():
        assert process.poll() is None, "the simulated observatory ended"
        assert time.monotonic() < deadline, "the simulated observatory does not come up"
        time.sleep(0.05)
    yield folder
    process.terminate()
    process.wait(10.0)


@pytest.fixture(scope="session")
def alpaca_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Our Alpaca server over the simulated observatory; its port."""
    port = free_port()
    command = [sys.executable, "-m", "tests.contract.alpaca_server", str(port)]
    with running([*command, str(tmp_path_factory.mktemp("alpaca"))], port):
        yield port


@pytest.fixture
async def alpaca_bench(alpaca_server: int, tmp_path: Path) -> AsyncIterator[AlpacaBench]:
    bench = AlpacaBench(tmp_path, alpaca_server)
    yield bench
    bench.misbehave()
    await bench.close()


TOGETHER = pytest.mark.xdist_group("alpaca-simulators")
"""One worker starts them: they take seconds to come up."""


def simulators_command(port: int, *more: str) -> list[str]:
    """How alpaca-simulators is started; skips where it is not installed."""
    if not SIMULATORS_PYTHON.exists():
        pytest.skip("alpaca-simulators is not installed (make test puts it into .venv-alpaca)")
    script = Path(__file__).with_name("alpaca_simulators_offline.py")
    return [str(SIMULATORS_PYTHON), str(script), str(port), *more]


@pytest.fixture(scope="session")
def alpaca_simulators() -> Iterator[int]:
    """The package alpaca-simulators, with stars; its port."""
    port = free_port()
    drivers = str(Path(__file__).parents[2] / "drivers")
    with running(simulators_command(port), port, env={**os.environ, "PYTHONPATH": drivers}):
        yield port


@pytest.fixture(
    params=[
        "sim",
        "sim_server",
        "alpaca",
        pytest.param("alpaca_simulators", marks=TOGETHER),
        pytest.param("indi", marks=pytest.mark.indi),
    ]
)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each observatory in turn."""
    bench: Bench
    if request.param == "indi":
        bench = IndiBench(tmp_path, request.getfixturevalue("indiserver"))
    elif request.param == "sim":
        bench = SimBench(tmp_path)
    elif request.param == "alpaca":
        bench = AlpacaBench(tmp_path, request.getfixturevalue("alpaca_server"))
    elif request.param == "alpaca_simulators":
        bench = AlpacaBench(tmp_path, request.getfixturevalue("alpaca_simulators"))
    else:
        folder = request.getfixturevalue("sim_server")
        bench = SessionBench(folder, lambda kind: f"sim://{kind}", folder / "socket")
    yield bench
    await bench.close()
