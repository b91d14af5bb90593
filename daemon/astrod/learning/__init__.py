"""Outcomes become knowledge: thumbs become training sets, shadows become promotions, drift becomes a word to the owner.

Pure: what it is given it was handed, what it says somebody else acts on.
"""
