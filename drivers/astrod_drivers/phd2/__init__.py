"""PHD2 as a guider, through the event server that it opens on TCP port 4400.

    link    one connection: events in, methods out, one JSON object a line
    guider  `protocols.Guider` on top of it

The protocol is published on PHD2's wiki (EventMonitoring). PHD2 keeps camera, mount and calibration to itself;
astrod only asks it to guide, to dither and to stop, and watches that it really does.
"""

SERVED = ("guider",)
