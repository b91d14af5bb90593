"""Cosmic rays: the one door to `astroscrappy`, van Dokkum's Laplacian edges (2001, PASP 113, 1420).

The Laplacian is cheap and says which pixels could be hit at all; the rest of the method, which is not, is run on
cut-outs around those that are sharp, laid side by side. The answer is that of the whole frame but for pixels at the
limit (`tests/measure/test_cosmics.py`).
"""

import warnings

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

_CLIP_SIGMAS = 5.0
_CONTRAST = 5.0
_BLOCK_ROWS = 128
_BLOCK_SEEDS = 20_000
_HALF = 12
_MOST_CUTS = 6000
SHARPEST_FWHM_PX = 2.0
"""Stars sharper than this cannot be told from cosmic rays by their edges."""


def cosmic_rays(above: Float32, noise: float, gain_e_adu: float | None, known: Bools, bayer: bool) -> Bools:
    """True at pixels that a cosmic ray hit. `above` is the frame without its sky, `noise` that sky's, ADU.

    `known` pixels (saturated, bad, without value) are no hits. A Bayer frame is looked at colour by colour.
    """
    if not bayer:
        return _plane(above, noise, gain_e_adu, known)
    hit = np.zeros(above.shape, dtype=bool)
    for row in (0, 1):
        for column in (0, 1):
            phase = slice(row, None, 2), slice(column, None, 2)
            hit[phase] = _plane(np.ascontiguousarray(above[phase]), noise, gain_e_adu, known[phase])
    return hit


def _plane(above: Float32, noise: float, gain_e_adu: float | None, known: Bools) -> Bools:
    hit = np.zeros(above.shape, dtype=bool)
    if min(above.shape) <= 2 * _HALF:
        return hit
    rows, columns, laplacian = _seeds(above, noise)
    new = ~known[rows, columns]  # most of what is sharp is a hot pixel that the dark told of
    rows, columns = _sharp(above, rows[new], columns[new], laplacian[new])
    if rows.size == 0:
        return hit
    tops, lefts = _cuts(rows, columns, above.shape)
    if tops.size > _MOST_CUTS:  # structure everywhere: no frame of stars, nothing to be told
        return hit
    side = 2 * _HALF
    across = int(np.ceil(np.sqrt(tops.size)))
    down = int(np.ceil(tops.size / across))
    reach = np.arange(side)
    places = tops[:, None, None] + reach[None, :, None], lefts[:, None, None] + reach[None, None, :]
    cuts = np.zeros((down * across, side, side), np.float32)
    cuts[: tops.size] = above[places]
    ignored = np.zeros(cuts.shape, dtype=bool)
    ignored[: tops.size] = known[places]
    ignored[:, :3, :] = ignored[:, -3:, :] = True  # across the seams nothing is to be found
    ignored[:, :, :3] = ignored[:, :, -3:] = True
    found = _detect(_laid(cuts, down, across), _laid(ignored, down, across), noise, gain_e_adu)
    parts = found.reshape(down, side, across, side).swapaxes(1, 2).reshape(down * across, side, side)
    hit[places] |= parts[: tops.size]
    return hit & ~known


def _laid(cuts: NDArray[np.generic], down: int, across: int) -> NDArray[np.generic]:
    side = cuts.shape[1]
    return np.ascontiguousarray(cuts.reshape(down, across, side, side).swapaxes(1, 2).reshape(down * side, -1))


def _detect(
    plane: NDArray[np.generic], ignored: NDArray[np.generic], noise: float, gain_e_adu: float | None
) -> NDArray[np.bool_]:
    import astroscrappy

    gain = gain_e_adu or 1.0
    variance = np.full(plane.shape, noise**2, np.float32)
    if gain_e_adu is not None:
        variance += np.maximum(plane, 0.0) / np.float32(gain_e_adu)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, _clean = astroscrappy.detect_cosmics(
            plane,
            inmask=ignored,
            invar=variance,
            gain=gain,
            satlevel=np.inf,
            sigclip=_CLIP_SIGMAS,
            objlim=_CONTRAST,
            niter=2,
            cleantype="medmask",
            sepmed=True,
        )
    return np.asarray(found, bool)


def _sharp(
    above: Float32, rows: NDArray[np.intp], columns: NDArray[np.intp], laplacian: Float32
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Seeds that could be sharp enough against the fine structure around them (medians of 3×3 less 7×7 pixels): half
    the method's own limit, for its medians are nested and these are not. This leaves out the cores of stars.
    """
    reach = np.arange(-3, 4)
    kept = np.zeros(rows.size, dtype=bool)
    for start in range(0, rows.size, _BLOCK_SEEDS):
        part = slice(start, start + _BLOCK_SEEDS)
        down = np.clip(rows[part, None, None] + reach[None, :, None], 0, above.shape[0] - 1)
        across = np.clip(columns[part, None, None] + reach[None, None, :], 0, above.shape[1] - 1)
        around = above[down, across]
        inner = np.median(around[:, 2:5, 2:5].reshape(len(around), 9), axis=1)
        fine = inner - np.median(around.reshape(len(around), 49), axis=1)
        kept[part] = laplacian[part] > _CONTRAST * fine
    return rows[kept], columns[kept]


def _seeds(above: Float32, noise: float) -> tuple[NDArray[np.intp], NDArray[np.intp], Float32]:
    """Pixels whose Laplacian stands out of the sky's noise, and it: no cosmic ray begins anywhere else.

    With pixels halved, the positive Laplacian of a pixel is the mean over its four corners of
    max(0, 2p - neighbour across - neighbour along) / 4, and the method asks for twice the noise times its limit.
    """
    limit = np.float32(2.0 * _CLIP_SIGMAS * noise * 4.0)
    found_rows, found_columns, found_values = [], [], []
    rows = above.shape[0]
    for top in range(1, rows - 1, _BLOCK_ROWS):
        bottom = min(top + _BLOCK_ROWS, rows - 1)
        middle = above[top:bottom, 1:-1]
        up, down = middle - above[top - 1 : bottom - 1, 1:-1], middle - above[top + 1 : bottom + 1, 1:-1]
        left, right = middle - above[top:bottom, :-2], middle - above[top:bottom, 2:]
        total = np.zeros_like(middle)
        for along in (up, down):
            for across in (left, right):
                total += np.maximum(along + across, np.float32(0.0))
        y, x = np.nonzero(total > limit)
        found_rows.append(y + top)
        found_columns.append(x + 1)
        found_values.append(total[y, x] * np.float32(0.25))
    return np.concatenate(found_rows), np.concatenate(found_columns), np.concatenate(found_values)


def _cuts(
    rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Corners of cut-outs that hold all seeds well inside: one for each cell of a raster that has any."""
    cell = _HALF // 2
    cells = np.unique(np.stack([rows // cell, columns // cell]), axis=1)
    tops = np.clip(cells[0] * cell + cell // 2 - _HALF, 0, shape[0] - 2 * _HALF)
    lefts = np.clip(cells[1] * cell + cell // 2 - _HALF, 0, shape[1] - 2 * _HALF)
    return tops, lefts
