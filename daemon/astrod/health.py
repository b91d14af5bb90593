"""What is wrong now, by code. One registry for the whole daemon; `status` shows it, the archive records changes."""

import logging

from astrod.domain.trouble import TROUBLES, Finding
from astrod.runtime.clock import Clock
from astrod.runtime.trace import Trace

log = logging.getLogger(__name__)

_LEVEL = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}


class Health:
    """Findings by code and subject (a device, a request; "" where there is none)."""

    def __init__(self, clock: Clock, trace: Trace) -> None:
        self._clock, self._trace = clock, trace
        self._findings: dict[tuple[str, str], Finding] = {}

    def found(self, code: str, text: str, subject: str = "") -> None:
        """This trouble is there now; said once until it is mended or its text changes."""
        known = self._findings.get((code, subject))
        if known is not None and known.text == text:
            return
        since_us = known.since_us if known else self._clock.now_us()
        self._findings[code, subject] = Finding(code, text, since_us)
        log.log(_LEVEL[TROUBLES[code].severity], "%s %s", code, text)
        self._trace.note("trouble", code=code, subject=subject, text=text)

    def mended(self, code: str, subject: str = "") -> None:
        """This trouble is over, if it was there."""
        if self._findings.pop((code, subject), None) is not None:
            self._trace.note("mended", code=code, subject=subject)

    @property
    def findings(self) -> list[Finding]:
        """All that is wrong now, worst first, then oldest."""
        order = {"critical": 0, "warning": 1, "info": 2}
        return sorted(self._findings.values(), key=lambda f: (order[f.trouble.severity], f.since_us, f.code))
