"""What watches the whole sky."""

from astrod.config.schema.key import NAME, Section, WatchedAddress, key


class WatchSection(Section):
    """A camera or stream that sees the whole sky: its clouds keep targets waiting, its meteors are kept."""

    name: str = key(
        ...,
        "Short name, unique; its clouds are a weather source as astrod://watch/NAME.",
        when="restart",
        example="roof",
        pattern=NAME,
    )
    source: WatchedAddress = key(
        ...,
        "A camera's address; or picture:///PATH, a file that another program (allsky, indi-allsky) writes over and"
        " over; folder:///PATH, the newest picture or FF stack in it (an RMS station's CapturedFiles);"
        " video:///PATH, v4l2:///dev/video0 or rtsp://HOST/PATH.",
        when="restart",
        example="picture:///var/www/allsky/image.jpg",
    )
    every_s: float = key(
        60.0,
        "From the beginning of one exposure to the next, or between two looks at a picture.",
        when="restart",
        ge=5,
        le=3600,
    )
    exposure_s: float = key(10.0, "How long a camera is exposed.", when="restart", gt=0, le=300)
    clouds: bool = key(True, "Look for clouds; needs a picture with stars in it.", when="restart")
    meteors: bool = key(True, "Look for meteors.", when="restart")
    calibration: str | None = key(
        None,
        "The fish-eye's calibration: astrod's own, or an RMS platepar. Without it the clouds are told as one number and"
        " keep no single target waiting.",
        when="restart",
        example="/etc/astrod/roof.fisheye.json",
    )
    check_min: float = key(
        60.0,
        "A meteor of our own is laid into a picture this often, and must be found, so that no meteors means none;"
        " 0: never.",
        when="restart",
        ge=0,
        le=1440,
    )
