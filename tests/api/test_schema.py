"""Two sides one version apart still speak."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from astrod.api.schema import SCHEMA, PlanAnswer, Status, read, speaks
from tests.cli.samples import plan, quiet, troubled


def test_an_answer_of_this_version_stays_as_it_is() -> None:
    assert read(Status, quiet()) == quiet()
    assert read(Status, troubled()) == troubled()
    assert read(PlanAnswer, plan()) == plan()


def test_the_status_has_what_scripts_were_promised() -> None:
    status = read(Status, {})
    promised = {
        "schema",
        "site",
        "time",
        "night",
        "safety",
        "devices",
        "exposing",
        "plan",
        "frames",
        "health",
    }
    assert promised <= set(status)
    assert set(status["frames"]) == {"taken", "kept", "rejected"}


def test_what_is_missing_promises_nothing() -> None:
    """A daemon of the version before does not know a key: an absent safety is not safe."""
    status = read(Status, {"site": "pujalt", "safety": {"reasons": ["wind"]}})
    assert status["safety"] == {"safe": False, "reasons": ["wind"], "epoch": 0, "since": None}
    assert status["exposing"] == []
    assert status["next"] is None


def test_what_is_new_is_left_out_at_every_depth() -> None:
    """A daemon of the version after says more."""
    raw = quiet() | {"colour": "red"}
    raw["safety"]["mood"] = 3
    raw["devices"][0]["firmware"] = [1, 2]
    assert read(Status, raw) == quiet()


def test_a_value_of_another_kind_counts_as_missing() -> None:
    status = read(Status, {"safety": {"safe": "yes", "epoch": True}, "frames": {"taken": "many"}, "devices": {}})
    assert status["safety"]["safe"] is False
    assert status["safety"]["epoch"] == 0
    assert status["frames"]["taken"] == 0
    assert status["devices"] == []


def test_one_apart_is_understood_two_are_not() -> None:
    assert [speaks(SCHEMA + d) for d in (-2, -1, 0, 1, 2)] == [False, True, True, True, False]
    assert not speaks(None)
    assert not speaks("1")
    assert not speaks(True)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*quiet(), "safe", "reasons", "name", "taken"]), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(json)
def test_anything_becomes_a_status(raw: Any) -> None:
    status = read(Status, raw)
    assert set(status) == set(quiet())
    assert read(Status, status) == status
