"""The reference, the commented file and the examples keep up with the schema."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from astrod.config.load import load
from astrod.config.reference import COMMENTED, REFERENCE, commented_text, reference_text, tables, values_of
from astrod.config.schema import Address, Document, extra_of
from astrod.planning.catalogue import resolve
from astrod_drivers import address
from astrod_drivers.errors import AddressInvalid

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "etc/examples").glob("*/astrod.toml"))


def place(name: str) -> tuple[float, float]:
    entry = resolve(name)
    return entry.ra_deg, entry.dec_deg


@pytest.mark.parametrize(("path", "text"), [(REFERENCE, reference_text()), (COMMENTED, commented_text())])
def test_the_files_are_as_the_schema_is(path: Path, text: str) -> None:
    """If this fails: python -m astrod.config.reference."""
    assert (ROOT / path).read_text(encoding="utf-8") == text


def test_the_commented_file_loads() -> None:
    found = load(ROOT / COMMENTED)
    assert found.site.roof is not None
    assert {limit.name for limit in found.site.weather[0].limits} >= {
        "rain_mm_h",
        "wind_m_s",
        "humidity_percent",
    }


def test_the_commented_file_has_every_key_and_each_shown_value_is_right() -> None:
    """With every mark taken away it is still a document that the schema accepts, and no key is missing."""
    text = re.sub(r"^#(?=[a-z_]+ = |\[)", "", (ROOT / COMMENTED).read_text(encoding="utf-8"), flags=re.M)
    document = Document.model_validate(tomllib.loads(text))
    for path, table, _ in tables((), Document):
        node: object = document
        for name in path:
            node = getattr(node, name)
            node = node[0] if isinstance(node, list) else node
        for name, _info in values_of(table):
            assert name in node.model_fields_set, (*path, name)  # type: ignore[attr-defined]


def test_every_key_says_what_it_is_and_when_it_counts() -> None:
    for path, table, _ in tables((), Document):
        assert table.__doc__, path
        for name, info in values_of(table):
            assert info.description, (*path, name)
            assert extra_of(info)["when"] in ("live", "restart"), (*path, name)


def test_every_number_has_its_unit_or_is_a_count() -> None:
    units = (
        "_deg",
        "_m",
        "_s",
        "_mm",
        "_um",
        "_px",
        "_c",
        "_min",
        "_days",
        "_gb",
        "_arcmin",
        "_per_hour",
        "_arcsec",
        "_adu",
        "_per_adu",
        "_percent",
    )
    plain = {"low", "high", "margin", "within", "gain", "offset", "binning", "priority", "max_airmass"}
    plain |= {
        "start_position",
        "step",
        "backlash",
        "seed",
        "count",
        "unsafe_after",
        "retakes_max",
        "frames_in_flight_max",
        "dither_every",
        "aggression",
        "hysteresis",
    }
    for path, table, _ in tables((), Document):
        for name, info in values_of(table):
            if "float" in str(info.annotation) and "list" not in str(info.annotation):
                assert name.endswith(units) or name in plain, (*path, name)


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_each_example_loads(folder: Path) -> None:
    found = load(folder, place)
    assert found.targets
    assert not found.overrides
    for target in found.targets:
        assert target.requests


def test_the_demonstration_targets_cover_both_skies() -> None:
    for name in ("sim", "indi"):
        targets = load(ROOT / "etc/examples" / name, place).targets
        assert len(targets) >= 12
        for latitude_deg in (-40.0, 0.0, 45.0):
            up = [t for t in targets if 90.0 - abs(latitude_deg - t.dec_deg) > 30.0]
            gaps = sorted(t.ra_deg for t in up)
            widest = max(b - a for a, b in zip(gaps, [*gaps[1:], gaps[0] + 360.0], strict=True))
            assert widest < 110.0, (name, latitude_deg)


@pytest.mark.parametrize(
    "text",
    [
        "indi://localhost:7624/Telescope Simulator",
        "indi://localhost/CCD",
        "sim://camera",
        "indi://localhost:7624",
        "indi:///CCD",
        "sim://",
        "usb://x",
        "camera",
        "",
    ],
)
def test_an_address_is_one_for_the_drivers_too(text: str) -> None:
    try:
        TypeAdapter(Address).validate_python(text)
        ours = True
    except ValidationError:
        ours = False
    try:
        address.parse(text)
        theirs = True
    except AddressInvalid:
        theirs = False
    assert ours == theirs
