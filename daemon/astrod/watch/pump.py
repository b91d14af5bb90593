"""A video or a camera's stream, made into stacks by a process of its own.

    python -m astrod.watch.pump SOURCE --spool FOLDER [--offset-us N]

Decoding is native code that may hang or die; here it costs one process, which the watch starts again. Each stack of
256 frames is written into the spool as RMS writes its FF files, and told of by one line of JSON on stdout: path, at_us
(when its first frame came), exposure_s. A file is played as fast as it decodes, its first frame at the file's time.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from astrod.errors import InputInvalid
from astrod.frames.clip import BLOCK_FRAMES, stacks_of
from astrod.frames.stack import Stack
from astrod.runtime.clock import WallClock
from astrod_drivers.host import die_with_parent

USUAL_FPS = 25.0


def write_stack(stack: Stack, path: Path) -> None:
    """Write a stack in the form of RMS's FF files, whole or not at all. Raises OSError."""
    from astropy.io import fits

    planes = {"MAXPIXEL": stack.maximum, "MAXFRAME": stack.frame, "AVEPIXEL": stack.mean, "STDPIXEL": stack.spread}
    header = fits.Header({"NFRAMES": stack.count, "FPS": stack.fps or USUAL_FPS})
    hdus = [fits.PrimaryHDU(header=header)]
    for name, plane in planes.items():
        values = np.zeros_like(stack.maximum) if plane is None else np.asarray(plane)
        kind = np.int16 if name == "MAXFRAME" else np.float32 if values.dtype.kind == "f" else values.dtype
        hdus.append(fits.ImageHDU(values.astype(kind), name=name))
    draft = path.with_name(path.name + ".part")
    fits.HDUList(hdus).writeto(draft, overwrite=True)
    draft.replace(path)


def pump(source: str, spool: Path, clock: WallClock) -> Iterator[dict[str, object]]:
    """Stacks of a source, each written to the spool; yields what is told of each. Raises InputInvalid, OSError."""
    opened_us = clock.now_us()
    base_us = opened_us if "://" in source or source.startswith("/dev/") else Path(source).stat().st_mtime_ns // 1000
    for number, stack in zip(itertools.count(1), stacks_of(source, BLOCK_FRAMES), strict=False):
        fps = stack.fps or USUAL_FPS
        path = spool / f"watch-{opened_us}-{number:06d}.fits"
        write_stack(stack, path)
        yield {
            "path": str(path),
            "at_us": base_us + round(stack.first / fps * 1e6),
            "exposure_s": round(stack.count / fps, 3),
        }


def main() -> int:
    """The command line; exit code 1 when the source cannot be opened, 0 when it ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--spool", type=Path, required=True)
    parser.add_argument("--offset-us", type=int, default=0)
    words = parser.parse_args()
    die_with_parent()
    try:
        for told in pump(words.source, words.spool, WallClock(words.offset_us)):
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
    except (InputInvalid, OSError) as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
