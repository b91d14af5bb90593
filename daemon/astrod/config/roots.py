"""Where a configuration lies, and which files make it up. Standard library only: the light doors use it.

A configuration is a main file, the `conf.d/*.toml` beside it, then the `targets.d/*.toml` beside it, each
folder in order of file name.
"""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from astrod.errors import ConfigInvalid

VARIABLE = "ASTROD_CONFIG"
DEFAULT_ROOT = Path("/etc/astrod")
MAIN_FILE = "astrod.toml"
DEFAULT = DEFAULT_ROOT / MAIN_FILE
DEMO_ROOT = Path("demo")
"""What `astrod demo` makes in the folder where it runs; it counts where nothing is installed."""
RUN_DIR = "/run/astrod"
SOCKET_NAME = "astrod.sock"


@dataclass(frozen=True, slots=True)
class ConfigFiles:
    """The files of a configuration, absolute. Relative paths inside them are relative to `folder`."""

    main: Path
    parts: tuple[Path, ...]
    targets: tuple[Path, ...]

    @property
    def folder(self) -> Path:
        return self.main.parent

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file, in the order in which they are read."""
        return (self.main, *self.parts, *self.targets)

    def label(self, path: Path) -> str:
        """How a fault names the file: relative to the configuration's folder."""
        return str(path.relative_to(self.folder))


def find(root: Path | None = None) -> ConfigFiles:
    """The files of the configuration at `root` (a file or a folder).

    None: what the environment variable ASTROD_CONFIG names, else /etc/astrod, else, where there is none, the
    demonstration in this folder. Raises ConfigInvalid.
    """
    given = root if root is not None else _default_root()
    try:
        main = (given / MAIN_FILE if given.is_dir() else given).absolute()
        if not main.is_file():
            what = "has no astrod.toml" if given.is_dir() else "is not there"
            remedy = f"name a file or folder with --config or {VARIABLE}, or make {DEFAULT}"
            raise ConfigInvalid([f"{given}: {what}; {remedy}"])
        return ConfigFiles(main, _files_in(main.parent / "conf.d"), _files_in(main.parent / "targets.d"))
    except OSError as fault:
        raise ConfigInvalid([f"{fault.filename or given}: cannot be read: {fault.strerror}"]) from fault


def _default_root() -> Path:
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return DEMO_ROOT if not DEFAULT.exists() and (DEMO_ROOT / MAIN_FILE).is_file() else DEFAULT_ROOT


def _files_in(folder: Path) -> tuple[Path, ...]:
    """Raises OSError for a folder that cannot be read: limits in it must not be overlooked in silence."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  Path.iterdir would be the same with the folder in each item
    except FileNotFoundError:
        return ()
    return tuple(folder / name for name in sorted(names) if name.endswith(".toml") and not name.startswith("."))


def socket_path(root: Path | None = None) -> Path:
    """The daemon's socket by the configuration at `root`, without checking the rest of it.

    A client must reach a running daemon even while its configuration is being edited: a file that cannot be
    read counts for nothing here, and `astrod config check` says what is wrong with it.
    """
    try:
        files = find(root)
    except ConfigInvalid:
        if root is not None:
            raise
        return Path(RUN_DIR) / SOCKET_NAME
    daemon: dict[str, object] = {}
    for path in (files.main, *files.parts):
        daemon |= _daemon_section(path)
    return socket_of(files.folder, daemon.get("run_dir"), daemon.get("socket"))


def socket_of(folder: Path, run_dir: object, socket: object) -> Path:
    """The socket's path from `run_dir` and `socket` of [daemon]; what is no text counts as absent."""
    base = folder / (run_dir if isinstance(run_dir, str) else RUN_DIR)
    return base / (socket if isinstance(socket, str) else SOCKET_NAME)


def _daemon_section(path: Path) -> dict[str, object]:
    try:
        section = tomllib.loads(path.read_text(encoding="utf-8")).get("daemon")
    except (OSError, ValueError):  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        return {}
    return section if isinstance(section, dict) else {}
