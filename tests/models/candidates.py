"""Candidates for the place of a shipped model, made without PyTorch."""

import hashlib
import shutil
from pathlib import Path

from astrod_models.card import weights_folder


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    assert number < 16
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def twin(folder: Path, version: str = "9", **thresholds: float) -> Path:
    """The shipped quality model under another digest (a note is added to its file), with other thresholds."""
    return lay(
        folder, (weights_folder() / "quality.onnx").read_bytes() + _field(6, version.encode()), version, thresholds
    )


def lay(folder: Path, content: bytes, version: str, thresholds: dict[str, float] | None = None) -> Path:
    """Weights with the shipped quality model's card, changed to match; returns the weights' path."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "quality.onnx"
    weights.write_bytes(content)
    card = (weights_folder() / "quality.toml").read_text()
    lines = []
    for line in card.splitlines():
        key = line.partition(" = ")[0]
        if key == "sha256":
            line = f'sha256 = "{hashlib.sha256(content).hexdigest()}"'
        elif key == "version":
            line = f'version = "{version}"'
        elif thresholds and key in thresholds:
            line = f"{key} = {thresholds[key]}"
        lines.append(line)
    (folder / "quality.toml").write_text("\n".join(lines) + "\n")
    return weights


def identity(port: str = "tiles", out: str = "probabilities", length: int = 4) -> bytes:
    """An ONNX model that gives back its one input, float32 of shape (1, length)."""
    node = _field(1, port.encode()) + _field(2, out.encode()) + _field(4, b"Identity")
    shape = _field(1, _dim(1)) + _field(1, _dim(length))
    kind = _field(1, bytes([1 << 3, 1]) + _field(2, shape))
    graph = _field(1, node) + _field(2, b"g") + _field(11, _field(1, port.encode()) + _field(2, kind))
    graph += _field(12, _field(1, out.encode()) + _field(2, kind))
    return bytes([1 << 3, 8]) + _field(7, graph) + _field(8, bytes([2 << 3, 13]))


def _dim(length: int) -> bytes:
    return bytes([1 << 3, length])


def shipped_copy(folder: Path) -> Path:
    """A copy of the shipped weights, to be altered."""
    shutil.copytree(weights_folder(), folder)
    return folder
