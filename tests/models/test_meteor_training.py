"""What the meteor network learns from: lights lie where their labels are, erased meteors are gone."""

import numpy as np

from astrod_models.meteor import KINDS, Block, view_of
from tests.sighting.blocks import METEOR, block_of, frames_of
from training.meteor_blocks import SIDE_PX, UNSURE, erased, labelled, over_real, simulated


def test_samples_are_of_one_shape_and_their_labels_follow_their_mask() -> None:
    seen = set()
    for seed in range(24):
        sample = labelled(simulated(np.random.default_rng((5, seed)), SIDE_PX, SIDE_PX))
        assert sample.channels.shape[1:] == (SIDE_PX, SIDE_PX)
        assert np.isfinite(sample.channels.astype(np.float32)).all()
        for kind, label, mask in zip(KINDS, sample.labels, sample.mask, strict=True):
            assert set(np.unique(mask)) <= {0, 1, UNSURE}
            assert (label == 0) == (not mask.any())
            seen.add((kind, int(label)))
    assert ("meteor", 1) in seen and ("meteor", 0) in seen


def test_the_same_seed_draws_the_same_sample() -> None:
    one, two = (labelled(simulated(np.random.default_rng((5, 3)), SIDE_PX, SIDE_PX)) for _ in range(2))
    assert np.array_equal(one.channels, two.channels) and np.array_equal(one.mask, two.mask)


def test_no_meteor_is_drawn_where_none_is_wanted() -> None:
    block = block_of(frames_of(seed=3))
    for seed in range(12):
        assert not over_real(np.random.default_rng((6, seed)), block, negative=True).lit["meteor"].any()


def test_an_erased_meteor_is_gone_and_the_rest_stays() -> None:
    block = block_of(frames_of(METEOR))
    track = np.array([METEOR.place(METEOR.first + step) for step in range(METEOR.frames)])
    after = erased(np.random.default_rng(1), block, track)
    before_view, view = view_of(block), view_of(after)
    on = tuple(np.rint(track[3:-3, ::-1]).astype(int).T)
    assert np.median(before_view.excess[on]) > 20.0
    assert np.percentile(view.excess[on], 90) < 8.0
    far = np.ones(block.maximum.shape, dtype=bool)
    far[30:110, 40:140] = False
    assert isinstance(after, Block)
    assert np.array_equal(block.maximum[far], after.maximum[far])
