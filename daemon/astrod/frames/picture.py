"""Pictures as cameras and programs pass them on: JPEG, PNG, TIFF, WebP and BMP in, JPEG out.

The one door to Pillow.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.errors import InputInvalid

_MAGICS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"II*\x00", b"MM\x00*", b"BM")
_MOST_PIXELS = 400_000_000
_LOWEST, _HIGHEST = 1.0, 99.7

Line = Sequence[tuple[float, float]]


def is_picture(head: bytes) -> bool:
    """Whether a file that begins so is a picture that `read_picture` knows."""
    return head.startswith(_MAGICS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def read_picture(path: Path) -> NDArray[Any]:
    """The picture's brightness, (height, width), 8 or 16 bits or float32; colours are averaged, transparency ignored.

    Raises InputInvalid for a file that is damaged, cut short, or larger than 400 million pixels.
    """
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path) as opened:
                if opened.width * opened.height > _MOST_PIXELS:
                    raise InputInvalid(f"{path}: {opened.width}×{opened.height} pixels are too many; make it smaller")
                if opened.mode in ("P", "PA", "LA", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "1"):
                    return _averaged(np.asarray(opened.convert("RGB")))
                return _averaged(np.asarray(opened))
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as fault:
            raise InputInvalid(f"{path}: the picture is cut short or damaged ({fault}); copy it again") from fault


def _averaged(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim == 3:
        return np.asarray(pixels[:, :, :3].mean(axis=2, dtype=np.float32))
    return pixels


def write_annotated(path: Path, pixels: NDArray[Any], lines: Sequence[tuple[Line, str]]) -> None:
    """Write `pixels` as a JPEG, stretched for the eye, each line drawn beside its light with its name.

    `lines` are points (x, y) in pixels. The folder must be there; raises InputInvalid where it cannot be written to.
    """
    from PIL import Image, ImageDraw

    values = np.nan_to_num(np.asarray(pixels, dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = np.percentile(values[:: max(1, values.shape[0] // 512)], (_LOWEST, _HIGHEST))
    scaled = np.clip((values - low) / max(float(high - low), 1e-9), 0.0, 1.0) ** 0.7
    image = Image.fromarray((255.0 * scaled).astype(np.uint8)).convert("RGB")
    pen = ImageDraw.Draw(image)
    for points, name in lines:
        left, right = min(x for x, _y in points), max(x for x, _y in points)
        top, bottom = min(y for _x, y in points), max(y for _x, y in points)
        pen.rectangle((left - 12, top - 12, right + 12, bottom + 12), outline=(255, 140, 0))
        pen.text((max(2.0, left - 12), max(2.0, top - 26)), name, fill=(255, 140, 0))
    try:
        image.save(path, "JPEG", quality=88)
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be written: {fault.strerror or fault}") from fault
