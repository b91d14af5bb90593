"""How the command line ends. Scripts and systemd rely on these; `daemon/docs/cli.md` lists them."""

DONE = 0
FAILED = 1
USAGE = 2
NOT_RUNNING = 3
OUR_FAULT = 70
CONFIG = 78

MEANING = {
    DONE: "done",
    FAILED: "failed; the message says what and what to do",
    USAGE: "wrong usage of the command line",
    NOT_RUNNING: "the daemon is not running",
    OUR_FAULT: "astrod's own fault; please report it",
    CONFIG: "the configuration is wrong; every fault is named",
}
