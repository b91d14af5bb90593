"""Files for tests: blocks as FF stacks and frames as video."""

import gzip
from pathlib import Path

import av
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from tests.sighting.blocks import block_of


def write_ff(path: Path, video: NDArray[np.uint8]) -> Path:
    """The video's block as an RMS FF file; gzipped where the name ends so."""
    block = block_of(video)
    planes = {"MAXPIXEL": block.maximum, "MAXFRAME": block.frame, "AVEPIXEL": block.mean, "STDPIXEL": block.spread}
    primary = fits.PrimaryHDU()
    primary.header["NFRAMES"], primary.header["FPS"], primary.header["CAMNO"] = block.count, 25.0, "XX0001"
    hdus = fits.HDUList([primary, *(fits.ImageHDU(data, name=name) for name, data in planes.items())])
    plain = path.with_name("plain.fits")
    hdus.writeto(plain)
    content = plain.read_bytes()
    plain.unlink()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def write_video(path: Path, video: NDArray[np.uint8], codec: str = "mpeg4") -> Path:
    """The frames as a video of good quality."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = video.shape[1:]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 20_000_000
        for image in video:
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path
