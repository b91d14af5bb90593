"""What is to be observed."""

from astrod.config.schema.key import Section, key, sections


class ExposureSection(Section):
    """Exposures of one kind."""

    exposure_s: float = key(..., "Length of one exposure.", when="live", example=120.0, gt=0, le=3600)
    exposure_min_s: float | None = key(
        None,
        "Under a bright sky, or where an alt-azimuth turns the field, it is halved to no less than this; 30 by itself.",
        when="live",
        example=60.0,
        gt=0,
        le=3600,
    )
    adapt: bool = key(
        False,
        "Double or halve it as the sky asks: as short as can be without read-out noise counting, by the newest darks.",
        when="live",
    )
    exposure_max_s: float | None = key(
        None,
        "With adapt, it is doubled to no more than this; without it no longer than asked.",
        when="live",
        example=480.0,
        gt=0,
        le=3600,
    )
    count: int = key(..., "How many usable ones are wanted, over all nights.", when="live", example=40, ge=1, le=100000)
    filter: str | None = key(
        None, "Filter; leave it out where there is no wheel.", when="live", example="L", min_length=1
    )
    binning: int = key(1, "Pixels joined along each side.", when="live", ge=1, le=8)
    train: str | None = key(None, "The train to use, by name; any that can without it.", when="live", example="main")


class TargetSection(Section):
    """A target. With a name alone its place comes from the catalogue that astrod ships."""

    name: str = key(
        ...,
        "Its name; with no coordinates, a name of the catalogue (M 31, NGC 891, Vega).",
        when="live",
        example="M 31",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 _+.\-/']{0,63}$",
    )
    ra_deg: float | None = key(None, "Right ascension, ICRS.", when="live", example=10.6847, ge=0, lt=360)
    dec_deg: float | None = key(None, "Declination, ICRS.", when="live", example=41.2687, ge=-90, le=90)
    coordinates: str | None = key(
        None,
        "Both in one text, ICRS, instead of ra_deg and dec_deg.",
        when="live",
        example="00h42m44s +41d16m08s",
    )
    priority: float = key(1.0, "Relative worth: 2 is worth twice 1.", when="live", gt=0, le=1000)
    min_altitude_deg: float | None = key(
        None, "Higher than the site's own limit.", when="live", example=35.0, ge=0, lt=90
    )
    max_airmass: float | None = key(None, "Not through more air than this.", when="live", example=1.8, ge=1, le=40)
    min_moon_deg: float = key(0.0, "Keep this far from the Moon.", when="live", ge=0, le=180)
    rig: str | None = key(None, "The rig to use, by name; any that can without it.", when="live", example="main")
    position_angle_deg: float | None = key(
        None,
        "Position angle of the frame's upper edge (first row up), from north through east; needs a rotator.",
        when="live",
        example=35.0,
        ge=0,
        lt=360,
    )
    exposures: list[ExposureSection] = sections("What is wanted of it.", shown=True, least=1)
