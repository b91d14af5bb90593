"""The words of the trade: frozen dataclasses, validated at birth, and pure functions over them.

Nothing here does I/O, asks for the time or knows asyncio.
"""
