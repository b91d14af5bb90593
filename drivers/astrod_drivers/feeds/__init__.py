"""Weather that no driver brings: one-line files, MQTT topics, JSON over HTTP. All are `protocols.Weather`.

    file:///var/lib/cloud/clarity.txt?format=boltwood&zone=UTC
    mqtt://broker:1883/garden/station?temperature_c=outdoor.temp&wind_m_s=wind.speed:km/h&time=at
    http+json://station.lan/now?temperature_c=data.0.t&time=data.0.ts

This package file imports nothing, so that the daemon may ask what is served without loading a library.
"""

SERVED = ("weather",)
