"""Which version of a model is in force: chosen, kept, taken back, and never one that cannot be trusted."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from astrod_models.card import WeightsRefusedError
from astrod_models.session import Engine, Session, choose, open_session
from astrod_models.zoo import CHOICE_FILE, SHIPPED, Zoo, ZooError
from tests.models.candidates import identity, lay, twin


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    return Zoo(tmp_path / "models")


def test_without_a_choice_the_shipped_version_is_in_force(zoo: Zoo) -> None:
    now = zoo.in_force("quality")
    assert (now.key, now.refused, now.passed_over) == (SHIPPED, None, None)
    assert "quality" in zoo.names()
    assert not zoo.has_shadow("quality")
    assert Zoo().in_force("quality").key == SHIPPED


def test_a_promotion_is_kept_and_taken_back(zoo: Zoo, tmp_path: Path) -> None:
    added = zoo.add("quality", twin(tmp_path / "new", "9"))
    assert added.key.startswith("9-")
    zoo.set_shadow("quality", added.key)
    candidate = zoo.shadow("quality")
    assert candidate is not None
    assert candidate.key == added.key
    assert zoo.promote("quality", added.key).title == "quality 9"
    again = Zoo(zoo.owned)
    assert again.in_force("quality").key == added.key
    assert not again.has_shadow("quality"), "who is in force is nobody's shadow"
    assert again.roll_back("quality").key == SHIPPED
    assert again.in_force("quality").key == SHIPPED
    with pytest.raises(ZooError, match="no other version"):
        again.roll_back("quality")
    assert [version.key for version in again.versions("quality")] == [SHIPPED, added.key], "it is kept"


def test_rolling_back_passes_over_a_version_that_was_damaged_since(zoo: Zoo, tmp_path: Path) -> None:
    keys = [zoo.add("quality", twin(tmp_path / version, version)).key for version in ("7", "8", "9")]
    for key in keys:
        zoo.promote("quality", key)
    (zoo.version("quality", keys[1]).folder / "quality.onnx").write_bytes(b"damaged")
    assert zoo.roll_back("quality").key == keys[0]
    assert zoo.in_force("quality").key == keys[0]
    assert zoo.roll_back("quality").key == SHIPPED


def test_the_file_may_be_gone_once_it_was_taken_in(zoo: Zoo, tmp_path: Path) -> None:
    file = twin(tmp_path / "new")
    key = zoo.add("quality", file).key
    file.unlink()
    file.with_suffix(".toml").unlink()
    zoo.promote("quality", key)
    assert zoo.in_force("quality").key == key
    assert open_session("quality", zoo.in_force("quality").folder).card.version == "9"


def test_a_promoted_version_that_was_altered_is_passed_over(zoo: Zoo, tmp_path: Path) -> None:
    key = zoo.add("quality", twin(tmp_path / "new")).key
    zoo.promote("quality", key)
    weights = zoo.in_force("quality").folder / "quality.onnx"
    weights.write_bytes(weights.read_bytes() + b"\0")
    now = zoo.in_force("quality")
    assert now.key == SHIPPED
    assert "does not match its card" in str(now.passed_over)
    assert "does not match" in str(zoo.version("quality", key).refused)


@pytest.mark.parametrize("content", [identity("tiles"), identity("other"), b"no model at all"])
def test_a_model_that_does_not_fit_is_refused(zoo: Zoo, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ZooError, match="is refused"):
        zoo.add("quality", lay(tmp_path / "new", content, "9"))
    assert zoo.in_force("quality").key == SHIPPED


@pytest.mark.parametrize(
    ("said", "instead"),
    [('"usable"]', '"usable", "useful"]'), ('"streak", "usable"]', '"streak"]'), ('"log_stars"', '"log_gnomes"')],
)
def test_a_card_whose_numbers_mean_something_unknown_is_refused(
    zoo: Zoo, tmp_path: Path, said: str, instead: str
) -> None:
    file = twin(tmp_path / "new")
    card = file.with_suffix(".toml")
    assert said in card.read_text()
    card.write_text(card.read_text().replace(said, instead))
    with pytest.raises(ZooError, match="train it again"):
        zoo.add("quality", file)


def test_a_version_that_an_upgrade_cannot_work_with_is_passed_over(zoo: Zoo, tmp_path: Path) -> None:
    key = zoo.add("quality", twin(tmp_path / "new")).key
    zoo.promote("quality", key)
    card = zoo.in_force("quality").folder / "quality.toml"
    card.write_text(card.read_text().replace('"log_stars"', '"log_gnomes"'))
    now = Zoo(zoo.owned).in_force("quality")
    assert now.key == SHIPPED
    assert "train it again" in str(now.passed_over)


def other_model(folder: Path, content: bytes, outputs: str = "out", means: str = '["a"]') -> Path:
    """A model that no code of ours uses, with its card."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "other.onnx").write_bytes(content)
    (folder / "other.toml").write_text(
        f'[model]\nname = "other"\nversion = "1"\nfile = "other.onnx"\nmeans = {means}\n'
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"\ninputs = ["in"]\noutputs = ["{outputs}"]\n'
    )
    return folder / "other.onnx"


@pytest.mark.parametrize(
    ("content", "outputs", "means", "fault"),
    [
        (identity("in", "out", 5), "out", '["a"]', "it has in"),
        (identity("in", "put", 4), "put", '["a"]', "it has put"),
        (identity("in", "out", 4) + b"\x32\x01x", "out", '["b"]', "answers mean"),
        (identity("in", "out", 4) + b"\x32\x01x", "out", '["a"]', None),
    ],
    ids=["another shape", "another port", "another meaning", "alike"],
)
def test_a_model_that_is_never_tried_must_take_and_give_what_the_shipped_one_does(
    tmp_path: Path, content: bytes, outputs: str, means: str, fault: str | None
) -> None:
    other_model(tmp_path / "shipped", identity("in", "out", 4))
    zoo = Zoo(tmp_path / "models", tmp_path / "shipped")
    file = other_model(tmp_path / "new", content, outputs, means)
    if fault is None:
        assert zoo.promote("other", zoo.add("other", file).key).refused is None
        return
    with pytest.raises(ZooError, match=fault):
        zoo.add("other", file)


def test_what_is_not_there_is_named(zoo: Zoo, tmp_path: Path) -> None:
    for wrong in (
        lambda: zoo.versions("quantity"),
        lambda: zoo.add("quality", tmp_path / "none.onnx"),
        lambda: zoo.promote("quality", "1-00000000"),
        lambda: zoo.promote("quality", "../../etc"),
        lambda: Zoo().add("quality", twin(tmp_path / "new")),
        lambda: zoo.promote("quality", SHIPPED),
    ):
        with pytest.raises(ZooError):
            wrong()


def test_a_known_model_whose_files_are_gone_is_missed_and_can_be_brought(tmp_path: Path) -> None:
    (tmp_path / "shipped").mkdir()
    zoo = Zoo(tmp_path / "models", tmp_path / "shipped", ("other",))
    assert "no card" in str(zoo.in_force("other").refused)
    key = zoo.add("other", other_model(tmp_path / "new", identity("in", "out", 4))).key
    zoo.promote("other", key)
    assert zoo.in_force("other").key == key


def test_what_a_folder_of_other_models_lacks_is_the_shipped_one(tmp_path: Path) -> None:
    other_model(tmp_path / "mine", identity("in", "out", 4))
    zoo = Zoo(None, tmp_path / "mine")
    assert zoo.in_force("other").folder == tmp_path / "mine"
    assert Zoo(None, tmp_path / "mine", ("quality",)).in_force("quality").refused is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"quality": 3}', '{"quality": {"now": 5, "before": "x"}}'])
def test_a_damaged_choice_counts_for_none(zoo: Zoo, text: str) -> None:
    assert zoo.owned is not None
    zoo.owned.mkdir()
    (zoo.owned / CHOICE_FILE).write_text(text)
    assert zoo.in_force("quality").key == SHIPPED


def test_a_model_run_on_what_it_cannot_take_says_so(tmp_path: Path) -> None:
    session = open_session("quality")
    with pytest.raises(WeightsRefusedError, match="cannot be run"):
        session.run({"tiles": np.zeros((1, 2, 3), dtype=np.float32)})


def test_the_engine_is_the_one_chosen_or_the_cpu_with_a_word() -> None:
    try:
        assert choose(Engine("cpu", 2)) is None
        assert open_session("quality").provider == "CPUExecutionProvider"
        said = choose(Engine("cuda", 1))
        session = open_session("quality")
        assert (said is None) == (session.provider == "CUDAExecutionProvider")
    finally:
        choose(Engine())
    for wrong in ((lambda: Engine("abacus")), (lambda: Engine("cpu", 0)), (lambda: Engine("cpu", 64))):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"abacus|threads"):
            wrong()


class Choices(RuleBasedStateMachine):
    """Whatever the owner does in whatever order: somebody sound is in force, and rolling back undoes promoting."""

    @initialize(folder=st.none())
    def begin(self, folder: None) -> None:
        import tempfile

        self.root = Path(tempfile.mkdtemp(prefix="astrod-zoo-"))
        self.zoo = Zoo(self.root / "models")
        self.keys: list[str] = []
        self.line = [SHIPPED]

    @rule(version=st.integers(1, 4))
    def add(self, version: int) -> None:
        key = self.zoo.add("quality", twin(self.root / f"new{version}", str(version))).key
        if key not in self.keys:
            self.keys.append(key)

    @precondition(lambda self: self.keys)
    @rule(at=st.integers(0, 3))
    def promote(self, at: int) -> None:
        key = self.keys[at % len(self.keys)]
        if key == self.line[-1]:
            with pytest.raises(ZooError):
                self.zoo.promote("quality", key)
        else:
            self.zoo.promote("quality", key)
            self.line.append(key)

    @rule()
    def roll_back(self) -> None:
        if len(self.line) == 1:
            with pytest.raises(ZooError):
                self.zoo.roll_back("quality")
        else:
            self.line.pop()
            assert self.zoo.roll_back("quality").key == self.line[-1]

    @rule()
    def crash(self) -> None:
        """A new process, with the draft of a choice left behind."""
        if self.zoo.owned is not None and self.zoo.owned.is_dir():
            (self.zoo.owned / f".{CHOICE_FILE}").write_text('{"qual')
        self.zoo = Zoo(self.root / "models")

    @invariant()
    def the_line_is_kept(self) -> None:
        now = self.zoo.in_force("quality")
        assert now.key == self.line[-1]
        assert now.refused is None
        assert isinstance(Session(now.card), Session) if now.card else False

    def teardown(self) -> None:
        import shutil

        shutil.rmtree(self.root)


TestChoices = Choices.TestCase
TestChoices.settings = settings(max_examples=6, stateful_step_count=12, deadline=None)


def test_the_choice_is_one_readable_file(zoo: Zoo, tmp_path: Path) -> None:
    key = zoo.add("quality", twin(tmp_path / "new")).key
    zoo.promote("quality", key)
    assert zoo.owned is not None
    said = json.loads((zoo.owned / CHOICE_FILE).read_text())
    assert said == {"quality": {"before": [SHIPPED], "now": key, "shadow": None}}
