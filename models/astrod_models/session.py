"""The only door to ONNX Runtime: one model, verified, on one CPU thread.

One thread keeps the answers bit-identical from run to run and leaves the machine to control and safety.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod_models.card import Card, WeightsRefusedError, read_card, verified_weights


class Session:
    """A model that is ready to run. `card` says what it is."""

    def __init__(self, card: Card) -> None:
        """Load the card's model; raises WeightsRefusedError where it is missing, altered or not a model."""
        import onnxruntime  # 0.1 s: paid by those who run a model, after the package has silenced telemetry

        content = verified_weights(card)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as fault:  # the C++ library's exceptions share no narrower base
            raise WeightsRefusedError(f"{card.weights.name} is no model that can be run: {fault}") from fault
        self._refuse_other_ports(card)
        self.card = card

    def _refuse_other_ports(self, card: Card) -> None:
        inputs = tuple(port.name for port in self._session.get_inputs())
        outputs = tuple(port.name for port in self._session.get_outputs())
        if sorted(inputs) != sorted(card.inputs) or outputs != card.outputs:
            raise WeightsRefusedError(f"{card.weights.name} has ports {inputs} → {outputs}, its card says otherwise")

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """The outputs by name."""
        answers = self._session.run(list(self.card.outputs), dict(feeds))
        return dict(zip(self.card.outputs, answers, strict=True))


def open_session(name: str, folder: Path | None = None) -> Session:
    """The model NAME of `folder` (default: astrod's own weights). Raises WeightsRefusedError."""
    return Session(read_card(name, folder))
