"""A small observatory's configuration as text, to be spoilt in tests."""

from pathlib import Path

GOOD = """\
[site]
name = "home"
latitude_deg = 41.7
longitude_deg = 1.4
height_m = 760

[roof]
address = "sim://roof"

[[weather]]
name = "station"
address = "sim://weather"
limits = [
  { name = "wind_m_s", high = 12, margin = 2.0 },
  { name = "rain_mm_h", high = 0.0 },
]

[[rig]]
name = "main"

[rig.mount]
address = "sim://mount"

[[rig.train]]
name = "main"
focal_length_mm = 400
aperture_mm = 80
wheel = "sim://wheel"

[rig.train.camera]
address = "sim://camera"
"""

TARGETS = """\
[[target]]
name = "M 31"
coordinates = "00h42m44s +41d16m08s"
exposures = [{ filter = "L", exposure_s = 120, count = 40 }]
"""


def lay(folder: Path, main: str = GOOD, **others: str) -> Path:
    """Write a configuration: `conf_a="…"` goes to conf.d/a.toml, `targets_b="…"` to targets.d/b.toml."""
    (folder / "astrod.toml").write_text(main, encoding="utf-8")
    for name, text in others.items():
        kind, _, stem = name.partition("_")
        path = folder / f"{kind}.d" / f"{stem}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
