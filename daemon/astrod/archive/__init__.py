"""The only memory: intents, frames, verdicts, plans and holds in SQLite, with one writer; telemetry beside it."""
