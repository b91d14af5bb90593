"""The meteor model: what it sees, what it says of blocks and stills, and that its own Grad-CAM is one."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from astrod.judge.meteor import sight
from astrod_models.card import WeightsRefusedError, read_card, weights_folder
from astrod_models.meteor import CHANNELS, KINDS, LONGEST_PX, MASK_PX, NAME, Block, Meteor, view_of
from tests.sighting.blocks import METEOR, SATELLITE, Light, block_of, frames_of


@pytest.fixture(scope="module")
def model() -> Meteor:
    return Meteor()


def test_the_card_says_what_it_is_worth() -> None:
    card = read_card(NAME)
    assert card.facts["model"]["parameters"] < 300_000
    assert card.weights.stat().st_size < 1_500_000
    assert card.facts["model"]["gradient_error"] < 1e-4
    assert card.facts["scores"]["confirmed stacks (UK0006)"]["never saw the station: recall"]["hits"] == 11


def test_altered_weights_are_refused_and_the_stand_in_says_so(tmp_path: Path) -> None:
    for path in weights_folder().glob(f"{NAME}.*"):
        shutil.copy(path, tmp_path)
    weights = tmp_path / f"{NAME}.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(WeightsRefusedError, match="does not match its card"):
        Meteor(tmp_path)
    found = sight(block_of(frames_of(METEOR)), weights=tmp_path)
    assert found.meteor and "classical stand-in" in found.model and "does not match" in found.model


@pytest.mark.parametrize(
    "light",
    [METEOR, Light(x=180.0, y=30.0, vx=-8.0, vy=5.0, first=90, frames=12, peak=90.0)],
    ids=["usual", "fast"],
)
def test_a_meteor_is_found_with_its_mask_and_its_attention_on_it(model: Meteor, light: Light) -> None:
    view = view_of(block_of(frames_of(light)))
    answer = model(view)
    assert answer.chances["meteor"] > 0.5
    for chart in (answer.mask[0], answer.attention):
        assert chart.min() >= 0.0 and chart.max() <= 1.0 + 1e-6
        row, column = np.unravel_index(int(chart.argmax()), chart.shape)
        x, y = (value * MASK_PX + 1.5 for value in (column, row))
        steps = [light.place(light.first + step) for step in np.linspace(0, light.frames - 1, 200)]
        assert min(np.hypot(u - x, v - y) for u, v in steps) < 10.0


def test_the_whole_answer_follows_the_light(model: Meteor) -> None:
    found = sight(block_of(frames_of(METEOR)))
    assert found.meteor and found.model == model.title
    assert found.tracks[0].kind == "meteor"


def test_a_satellite_and_an_empty_sky_are_no_meteors() -> None:
    for block in (block_of(frames_of(SATELLITE)), block_of(frames_of(seed=8))):
        assert not sight(block).meteor


def test_the_same_block_deeper_and_brighter_is_the_same_to_the_network(model: Meteor) -> None:
    block = block_of(frames_of(METEOR))
    assert block.mean is not None and block.spread is not None
    deep = replace(
        block,
        maximum=block.maximum.astype(np.uint16) * 200 + 900,
        mean=block.mean.astype(np.uint16) * 200 + 900,
        spread=block.spread.astype(np.float32) * 200,
    )
    one, two = model(view_of(block)), model(view_of(deep))
    assert one.chances["meteor"] == pytest.approx(two.chances["meteor"], abs=0.05)


def test_answers_repeat_to_the_last_bit(model: Meteor) -> None:
    view = view_of(block_of(frames_of(METEOR)))
    one, two = model(view), model(view)
    assert one.chances == two.chances
    assert np.array_equal(one.mask, two.mask)


def test_channels_of_a_block_and_of_a_still() -> None:
    block = block_of(frames_of(METEOR))
    timed, still = view_of(block), view_of(Block(block.maximum))
    named = dict(zip(CHANNELS, timed.channels, strict=True))
    place = [METEOR.place(METEOR.first + step) for step in range(2, METEOR.frames - 2)]
    on = [named["coherence"][round(y), round(x)] for x, y in place]
    assert np.median(on) > 0.5 > 0.2 > np.median(named["coherence"])
    assert named["timed"][:150, :200].min() == 1.0
    assert not still.channels[[CHANNELS.index(name) for name in ("star", "coherence", "slope", "timed")]].any()
    assert len(KINDS) == 3 and LONGEST_PX >= 1280


def test_the_gradient_by_hand_is_the_automatic_one() -> None:
    torch = pytest.importorskip("torch")
    from training.meteor import gradient_error
    from training.meteor_network import Eye, MeteorNet

    torch.manual_seed(3)
    network = MeteorNet()
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0.0, 0.3)
            part.running_var.uniform_(0.5, 2.0)
            part.weight.data.uniform_(0.5, 1.5)
    eye = Eye(network, torch.ones(3), torch.zeros(3)).eval()
    assert gradient_error(eye) < 1e-4
