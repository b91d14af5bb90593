"""How long the meteor stream takes: CPU seconds of one core for 256 frames of 1280 × 720, which last 10.24 s.

PYTHONPATH=daemon:drivers:models:. python tests/bench/meteors.py
The peer beside it, in the same run: FFmpeg's decoding alone, and the classical detector on the same block.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from astrod.frames.clip import BLOCK_FRAMES, stacks_of
from astrod.judge.meteor import sight
from astrod_models.meteor import Block

HEIGHT, WIDTH, FPS = 720, 1280, 25
ROUNDS = 3


def video_of(folder: Path) -> Path:
    """A noisy sky with stars and one meteor, as H.264, at a bit rate like RMS's cameras."""
    import av

    rng = np.random.default_rng(7)
    sky = rng.normal(0.0, 1.0, (HEIGHT + 64, WIDTH + 64))
    path = folder / "night.mp4"
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 4_000_000
        for number in range(BLOCK_FRAMES):
            down, right = rng.integers(0, 64, 2)
            image = 45.0 + 4.0 * sky[down : down + HEIGHT, right : right + WIDTH]
            since = number - 100
            if 0 <= since < 20:
                x, y = 300.0 + 9.0 * since, 200.0 + 5.0 * since
                image = image + 120.0 * np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / 2.0)
            frame = av.VideoFrame.from_ndarray(np.clip(image, 0, 255).astype(np.uint8), format="gray")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path


def decoded(path: Path) -> float:
    """CPU seconds of decoding alone."""
    import av

    started = time.process_time()
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        for _frame in container.decode(video=0):
            pass
    return time.process_time() - started


def spent(path: Path) -> dict[str, float]:
    """CPU seconds of each part, the median of a few rounds."""
    rows = []
    for _round in range(ROUNDS):
        marks = [time.process_time()]
        (stack,) = list(stacks_of(path))
        marks.append(time.process_time())
        block = Block(stack.maximum, stack.frame, stack.mean, stack.spread, stack.count)
        sight(block)
        marks.append(time.process_time())
        sight(block, enabled=False)
        marks.append(time.process_time())
        rows.append([decoded(path), *np.diff(marks)])
    decoding, stacking, judging, classical = (float(value) for value in np.median(np.array(rows), axis=0))
    return {
        "decode_and_stack_s": round(stacking, 3),
        "judge_s": round(judging, 3),
        "all_s": round(stacking + judging, 3),
        "lasts_s": round(BLOCK_FRAMES / FPS, 2),
        "margin": round(BLOCK_FRAMES / FPS / (stacking + judging), 2),
        "peer_decode_alone_s": round(decoding, 3),
        "peer_classical_judge_s": round(classical, 3),
    }


def main() -> None:
    """One line of JSON; the first call, with its imports and the model's loading, left out."""
    with tempfile.TemporaryDirectory() as name:
        path = video_of(Path(name))
        sight(Block(np.zeros((64, 64))))
        sys.stdout.write(json.dumps({"stream": f"{WIDTH}x{HEIGHT}"} | spent(path)) + "\n")


if __name__ == "__main__":
    main()
