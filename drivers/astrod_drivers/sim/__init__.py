"""A simulated observatory: one seeded sky and one physics behind all its devices.

    catalogue   the stars and galaxies, one sky for all (grid; tycho2: how its file was made)
    scene       everything a frame depends on, as plain values
    render      a scene's pixels (psf, canvas, clouds, detector)
    setup       what an observatory is made of, as JSON
    observatory the devices under one sky (mount, camera, focuser, wheel, roof, station), with weather,
                light and ephemeris
    serve       the same as a process of its own
    gsc         stars for INDI's simulators

Numpy is all it needs.
"""
