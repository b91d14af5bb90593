"""What to observe: the sky foretold, the night's plan, and the decision at each exposure, each with its why.

`sky`, `value` and `solve` are heavy and run in a worker; `problem` and `current` are light and run in control.
"""
