"""Safety: a small process of its own that reads sensors, owns the roof, and waits for nobody.

`loop` decides and acts; `process` is its main program; `link` is the control process's end of the line. On the
simulated clock the loop runs beside the control code, with the same interface (`Guard`).
"""
