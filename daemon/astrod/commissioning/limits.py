"""Weather limits worth having: what each is for, and a value to begin with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Worth:
    """An upper limit on a quantity: why, what is usual, what can be meant at all, and how far back is safe again."""

    name: str
    why: str
    unit: str
    usual: float
    low: float
    most: float
    margin: float


WORTHY = (
    Worth("rain_mm_h", "any rain is too much", "mm/h", 0.0, 0.0, 5.0, 0.0),
    Worth("wind_m_s", "exposures trail from about 8, roofs suffer from about 15", "m/s", 12.0, 1.0, 40.0, 2.0),
    Worth("gust_m_s", "a gust is what lifts a roof", "m/s", 17.0, 1.0, 50.0, 2.0),
    Worth("humidity_percent", "dew, and the fog before rain", "%", 90.0, 30.0, 100.0, 3.0),
    Worth(
        "cloud_percent", "cloud comes before rain; many stations tell it as percent of sky", "%", 85.0, 5.0, 100.0, 10.0
    ),
)
