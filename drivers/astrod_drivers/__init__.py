"""Drivers: how a telescope's parts are reached. A leaf: it knows nothing of the daemon.

`protocols` says what each kind of device can do; `indi` and `sim` are two ways of doing it, held to the same
contract by `tests/contract`. `session` opens a device by its address and can always be killed.
"""
