"""What the models say of a frame; scores become one verdict."""

from astrod.judge.anomaly import Usual, strangeness
from astrod.judge.verdict import judge, model_fault, verdict

__all__ = ["Usual", "judge", "model_fault", "strangeness", "verdict"]
