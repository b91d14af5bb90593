"""Watching the whole sky: where its pictures come from, who looks at them, and what follows."""
