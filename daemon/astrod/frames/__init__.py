"""Bytes on disk: the validity gate, FITS written whole or not at all, reading images back, retention."""
