"""How often a model is right on frames whose worth somebody has said, beside another judge of the same frames."""

from collections.abc import Sequence
from dataclasses import dataclass

from astrod.learning.drift import wilson_low


@dataclass(frozen=True, slots=True)
class Tried:
    """A file: whether it is usable (or holds a meteor), if somebody said so, and what model and stand-in made of it.

    Scores are 0 to 100.
    """

    usable: bool | None
    kept: bool
    score: float
    stand_in_kept: bool
    stand_in_score: float


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `count`, with Wilson's 95 % interval."""

    hits: int
    count: int

    @property
    def interval(self) -> tuple[float, float]:
        """The interval; 0 to 1 where there is nothing to count."""
        return (
            wilson_low(self.hits, self.count),
            1.0 - wilson_low(self.count - self.hits, self.count),
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Of a judge: good frames kept, bad frames refused, and the chance that a good frame scores above a bad one."""

    good_kept: Share
    bad_refused: Share
    auc: float | None


def evaluated(tried: Sequence[Tried]) -> tuple[Evaluation, Evaluation]:
    """The model, and its stand-in, on the frames whose worth is known."""
    good = [one for one in tried if one.usable is True]
    bad = [one for one in tried if one.usable is False]
    model = Evaluation(
        Share(sum(1 for one in good if one.kept), len(good)),
        Share(sum(1 for one in bad if not one.kept), len(bad)),
        auc([one.score for one in good], [one.score for one in bad]),
    )
    stand_in = Evaluation(
        Share(sum(1 for one in good if one.stand_in_kept), len(good)),
        Share(sum(1 for one in bad if not one.stand_in_kept), len(bad)),
        auc([one.stand_in_score for one in good], [one.stand_in_score for one in bad]),
    )
    return model, stand_in


def auc(good: Sequence[float], bad: Sequence[float]) -> float | None:
    """The chance that one of `good` is above one of `bad`, ties counting half (Mann and Whitney); None of none."""
    if not good or not bad:
        return None
    ranked = sorted([(value, True) for value in good] + [(value, False) for value in bad])
    wins, bad_below, at = 0.0, 0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        goods = sum(1 for _, is_good in ranked[at:end] if is_good)
        bads = end - at - goods
        wins += goods * (bad_below + bads / 2.0)
        bad_below += bads
        at = end
    return wins / (len(good) * len(bad))
