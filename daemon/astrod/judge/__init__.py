"""What the models say of a frame; scores become one verdict."""

from astrod.judge.verdict import judge, verdict

__all__ = ["judge", "verdict"]
