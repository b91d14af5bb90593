"""What safety asks the sky: where a tube that says it is parked really points.

Safety has no camera and solves nothing. It asks in its report, control exposes and solves, and answers by number
(`Guard.tell_place`). Nobody is waited for longer than SIGHT_S: no answer is the sky's silence.
"""

import asyncio

from astrod.runtime.clock import Clock

SIGHT_S = 60.0
"""An exposure, its readout and a search of the whole sky take no longer."""
ANEW_S = 10.0
"""What the sky said, or that it did not, is not asked again sooner."""

Place = tuple[float, float]
"""Azimuth and altitude, degrees."""


class Sights:
    """The questions that are open, and the last answers. `wanted` goes into safety's report."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._number = 0
        self._open: dict[str, tuple[int, asyncio.Future[Place | None]]] = {}
        self._last: dict[str, tuple[float, Place | None]] = {}

    @property
    def wanted(self) -> dict[str, int]:
        """The rigs that are asked about now, each with the number of its question."""
        return {rig: number for rig, (number, _) in self._open.items()}

    async def where_is_it(self, rig: str) -> Place | None:
        """See `clearance.WhereIsIt`. Several that ask at once share one question."""
        last = self._last.get(rig)
        if rig not in self._open and last is not None and self._clock.monotonic_s() - last[0] < ANEW_S:
            return last[1]
        if rig not in self._open:
            self._number += 1
            self._open[rig] = self._number, asyncio.get_running_loop().create_future()
        number, answer = self._open[rig]
        try:
            async with asyncio.timeout(SIGHT_S):
                return await asyncio.shield(answer)
        except TimeoutError:
            self.tell(rig, number, None)
            return None

    def tell(self, rig: str, number: int, place: Place | None) -> None:
        """The answer to a question; one that nobody asks any more is let go."""
        if rig not in self._open or self._open[rig][0] != number:
            return
        _, answer = self._open.pop(rig)
        self._last[rig] = self._clock.monotonic_s(), place
        if not answer.done():
            answer.set_result(place)
