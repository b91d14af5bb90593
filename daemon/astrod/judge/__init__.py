"""What the models say of a frame; scores become one verdict."""

from astrod.judge.verdict import judge, model_fault, verdict

__all__ = ["judge", "model_fault", "verdict"]
