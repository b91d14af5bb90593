"""What everything runs on: clocks, supervision, work off the loop, systemd, the trace."""
