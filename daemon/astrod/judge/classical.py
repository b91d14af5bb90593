"""The stand-in for the quality model: what a few cuts on the measurements can say.

Not as good as the model, and said so in every verdict; it keeps the night going when the weights cannot be
trusted. Cuts are absolute, since one frame alone has no history.
"""

import math
from collections.abc import Mapping

from astrod_models.quality import Answer

TITLE = "classical stand-in"


def classical(values: Mapping[str, float]) -> Answer:
    """Probabilities by logistic cuts on the measured values (names as in
    `astrod_models.quality.FEATURES`).
    """
    stars = 10.0 ** values["log_stars"] - 1.0
    clouds = 1.0 - _rising(math.log10(1.0 + stars), 0.6, 0.15)
    clouds = max(clouds, _rising(values["sky_spread"], 0.6, 0.15) * _rising(values["patchy"], 0.5, 0.2))
    if values["shaped"] == 0.0:
        trailing = defocus = 0.1
    else:
        trailing = _rising(math.exp(values["log_elongation"]), 1.7, 0.12) * _rising(values["coherence"], 0.2, 0.05)
        wide = _rising(2.0 ** values["log_fwhm"], 9.0, 1.0)
        defocus = max(wide, 1.0 - _rising(values["hollow"], 1.05, 0.08)) * (1.0 - trailing)
    streak = max(_rising(values["log_longest"], -0.6, 0.1), _rising(values["log_line"], 0.95, 0.04))
    usable = (1.0 - clouds) * (1.0 - trailing) * (1.0 - defocus)
    return Answer({"clouds": clouds, "trailing": trailing, "defocus": defocus, "streak": streak}, usable)


def _rising(value: float, middle: float, width: float) -> float:
    """From 0 to 1 around `middle`."""
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, (value - middle) / width))))
