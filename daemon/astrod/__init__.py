"""astrod runs an observatory through the night with nobody there.

The folders below are the stations a frame passes, in order; `journey.py` walks a frame past them and
`conductor.py` decides what happens next. Imports point down only (see `pyproject.toml`, import-linter).
"""

__version__ = "0.1.0"
