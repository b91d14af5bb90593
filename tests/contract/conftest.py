"""The benches that the contract is run on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.bench import Bench, IndiBench
from tests.indiserver import SIMULATORS, IndiServer, missing


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


@pytest.fixture(params=[pytest.param("indi", marks=pytest.mark.indi)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Each observatory in turn."""
    bench = IndiBench(tmp_path, request.getfixturevalue("indiserver"))
    yield bench
    await bench.close()
