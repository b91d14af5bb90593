"""What can go wrong between astrod and a device.

    DriverError
    ├── AddressInvalid     the address in the configuration cannot be a device
    ├── Unreachable        the server or the process behind the device is gone (recover: reconnect)
    ├── DeviceMissing      the server answers, the device is not on it (operator: the name is wrong)
    ├── CommandRefused     the device said no; nothing happened
    ├── PermitRefused      the permit's safety epoch is over; nothing happened
    ├── DeadlineMissed     no answer in time: the outcome is UNKNOWN, read back before anything else
    └── BadAnswer          the device answered what cannot be true

Each message says what to do next. The names travel over the wire (`wire`), so they are part of its protocol.
"""


class DriverError(Exception):
    """Any trouble with a device. Catch the subclasses to tell what to do next."""


class AddressInvalid(DriverError):
    """The address cannot name a device."""


class Unreachable(DriverError):
    """The server or process behind the device is gone."""


class DeviceMissing(DriverError):
    """The server is there, the device is not."""


class CommandRefused(DriverError):
    """The device refused the command; its state is as before."""


class PermitRefused(DriverError):
    """The command's safety epoch is over; it was not carried out."""


class DeadlineMissed(DriverError):
    """No answer in time. What the command did is unknown until it is read back."""


class BadAnswer(DriverError):
    """The device answered what cannot be true."""


BY_NAME: dict[str, type[DriverError]] = {
    cls.__name__: cls
    for cls in (
        DriverError,
        AddressInvalid,
        Unreachable,
        DeviceMissing,
        CommandRefused,
        PermitRefused,
        DeadlineMissed,
        BadAnswer,
    )
}
