"""An ASCOM Alpaca server over the simulated observatory: what a telescope's own computer would be on the network.

    faces       each kind of device as Alpaca's interface has it
    server      the HTTP side: members, management, transaction ids, error numbers
    pixels      ImageBytes and the JSON image
    beacon      answers discovery's broadcast
    bad         a server that misbehaves: HTML, failures, half answers, wrong sizes, no answers
    __main__    python -m astrod_drivers.sim.alpaca --setup FILE --port N

Written from the ASCOM Alpaca API Reference and Device API, not from our own client, so that the two can disagree.
Needs Starlette and uvicorn.
"""
