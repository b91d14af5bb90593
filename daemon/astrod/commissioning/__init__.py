"""Commissioning: an owner is walked through their hardware and ends with a configuration that passes its check.

    interview    a question with its answer, from a person at a terminal or from a file
    hardware     what is there: servers asked for their devices, each device connected and read, a roof watched
    limits       weather limits worth having
    draft        the configuration as it grows, and how it is written
    walk         the steps in their order

Nothing here moves, opens or exposes anything. The devices are opened under an epoch page of our own that nobody ever
makes safe, so no hazardous command could pass; what must move, moves at the running daemon, under safety.
"""
