"""The daemon's Unix socket: JSON lines, one request, one answer. Client and schema cost nothing to import."""
