"""Nights without a telescope: on the simulated clock (`night`), or in real time where it is dark now (`demo`).

Beside the composition root, and the only part of the daemon that may import the simulated observatory.
"""
