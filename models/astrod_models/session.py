"""The only door to ONNX Runtime: one model, verified, on one CPU thread unless the owner chose another engine.

One CPU thread keeps the answers bit-identical from run to run and leaves the machine to control and safety. A
graphics processor is used only where `choose` was told so and ONNX Runtime has it; its answers may differ in the last
digits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from astrod_models.card import Card, WeightsRefusedError, read_card, verified_weights

Provider = Literal["cpu", "cuda", "tensorrt"]

THREADS_MOST = 4
_CPU = "CPUExecutionProvider"
_PROVIDERS: Mapping[Provider, tuple[str, ...]] = {
    "cpu": (_CPU,),
    "cuda": ("CUDAExecutionProvider", _CPU),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", _CPU),
}


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs the models: a provider of ONNX Runtime, and how many CPU threads one model may take."""

    provider: Provider = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.provider not in _PROVIDERS:
            raise ValueError(f"{self.provider!r} is no provider; there are {', '.join(_PROVIDERS)}")
        if not 1 <= self.threads <= THREADS_MOST:
            raise ValueError(f"{self.threads} threads for a model; 1 to {THREADS_MOST}, so that control never starves")


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a model; an axis of `shape` is None where any length will do."""

    name: str
    kind: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.name} ({'×'.join('any' if axis is None else str(axis) for axis in self.shape)})"

    def takes(self, other: "Port") -> bool:
        """Whether what is made for the other port goes through this one."""
        return (self.name, self.kind, len(self.shape)) == (other.name, other.kind, len(other.shape)) and all(
            own is None or axis is None or own == axis for own, axis in zip(self.shape, other.shape, strict=True)
        )


_chosen = Engine()


def choose(engine: Engine) -> str | None:
    """Run the models opened in this process from now on with that engine.

    Returns why the CPU runs them all the same, None where it is as asked.
    """
    global _chosen  # one engine for a process, as there is one ONNX Runtime
    import onnxruntime  # as in `Session`

    there = onnxruntime.get_available_providers()
    if _PROVIDERS[engine.provider][0] in there:
        _chosen = engine
        return None
    _chosen = Engine("cpu", engine.threads)
    return f"ONNX Runtime has no {engine.provider} here (it has {', '.join(there)}); the CPU runs the models"


class Session:
    """A model that is ready to run. `card` says what it is, `provider` what runs it."""

    def __init__(self, card: Card) -> None:
        """Load the card's model; raises WeightsRefusedError where it is missing, altered or not a model."""
        import onnxruntime  # 0.1 s: paid by those who run a model, after the package has silenced telemetry

        content = verified_weights(card)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _chosen.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        there = onnxruntime.get_available_providers()
        providers = [name for name in _PROVIDERS[_chosen.provider] if name in there]
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=providers)
        except Exception as fault:  # the C++ library's exceptions share no narrower base
            raise WeightsRefusedError(f"{card.weights.name} is no model that can be run: {fault}") from fault
        self.inputs = tuple(_port(port) for port in self._session.get_inputs())
        self.outputs = tuple(_port(port) for port in self._session.get_outputs())
        self._refuse_other_ports(card)
        self.card = card
        self.provider: str = self._session.get_providers()[0]

    def _refuse_other_ports(self, card: Card) -> None:
        inputs = tuple(port.name for port in self.inputs)
        outputs = tuple(port.name for port in self.outputs)
        if sorted(inputs) != sorted(card.inputs) or outputs != card.outputs:
            raise WeightsRefusedError(f"{card.weights.name} has ports {inputs} → {outputs}, its card says otherwise")

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """The outputs by name. Raises WeightsRefusedError where the model cannot take these inputs."""
        try:
            answers = self._session.run(list(self.card.outputs), dict(feeds))
        except Exception as fault:  # as above
            raise WeightsRefusedError(f"{self.card.title} cannot be run on what it is given: {fault}") from fault
        return dict(zip(self.card.outputs, answers, strict=True))


def _port(port: Any) -> Port:
    return Port(port.name, port.type, tuple(axis if isinstance(axis, int) else None for axis in port.shape))


def open_session(name: str, folder: Path | None = None) -> Session:
    """The model NAME of `folder` (default: astrod's own weights). Raises WeightsRefusedError."""
    return Session(read_card(name, folder))
