"""INDI devices through pyindi-client, which runs in driver hosts only (`astrod_drivers.host`).

This package file imports nothing, so that the daemon may ask what is served without loading native code.
"""

SERVED = ("mount", "camera", "focuser", "wheel", "rotator", "roof", "cover", "switch", "weather", "safety_monitor")
