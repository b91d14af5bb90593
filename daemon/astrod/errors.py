"""astrod's errors, one tree, split by what the caller does next.

    AstrodError
    ├── Retry            try the same again; nothing has changed
    ├── RecoverDevice    a device or its session is lost: reconnect, then read back
    │   └── OutcomeUnknown   a deadline passed; read back, never blindly repeat
    ├── Replan           this exposure or target cannot be had now; the night goes on with another
    ├── GoSafe           the site must close before anything else
    ├── TellOperator     a person must act
    │   ├── ConfigInvalid    the configuration is wrong; exit 78
    │   └── InputInvalid     a file or an argument is wrong; exit 1 or 2
    └── Bug              ours; exit 70

A lower library's error is translated at its door into one of these, `raise ... from`.
"""


class AstrodError(Exception):
    """Any trouble astrod has a plan for."""


class Retry(AstrodError):
    """Try the same again; nothing has changed."""


class RecoverDevice(AstrodError):
    """A device or its session is lost: reconnect, then read back. `device` is its configured name."""

    def __init__(self, device: str, message: str) -> None:
        super().__init__(f"{device}: {message}")
        self.device = device


class OutcomeUnknown(RecoverDevice):
    """A deadline passed and nobody knows what the command did."""


class Replan(AstrodError):
    """This exposure or target cannot be had now."""


class GoSafe(AstrodError):
    """The site must close before anything else."""


class TellOperator(AstrodError):
    """A person must act; the message says how."""


class ConfigInvalid(TellOperator):
    """The configuration is wrong. `faults` lists every fault, one line each, with file, place and remedy."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class InputInvalid(TellOperator):
    """A file or an argument is wrong."""


class Bug(AstrodError):
    """Our own fault."""
