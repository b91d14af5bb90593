"""The configuration as it grows, and how it is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astrod.config.reference import toml_text
from astrod.config.roots import DEFAULT_ROOT, MAIN_FILE
from astrod.errors import InputInvalid
from astrod.rehearsal.targets import Wish, document

TARGETS_FILE = "targets.d/first.toml"
Keys = dict[str, Any]

HEAD = """\
# Written by `astrod commission`. Every other key, with its meaning, is in daemon/docs/configuration.md.
"""


@dataclass
class Draft:
    """The tables, by the names of the configuration's own keys. An empty one is left out."""

    site: Keys = field(default_factory=dict)
    roof: Keys = field(default_factory=dict)
    weather: list[Keys] = field(default_factory=list)
    mount: Keys = field(default_factory=dict)
    train: Keys = field(default_factory=dict)
    camera: Keys = field(default_factory=dict)
    focuser: Keys = field(default_factory=dict)
    guider: Keys = field(default_factory=dict)
    wish: Wish | None = None

    def text(self, folder: Path) -> str:
        """`astrod.toml`. Elsewhere than in /etc/astrod data and sockets lie beside it, so that it runs unprivileged."""
        return "\n".join([HEAD, *self._tables(folder)])

    def _tables(self, folder: Path) -> Iterator[str]:
        yield _table("[site]", self.site)
        if self.roof:
            yield _table("[roof]", self.roof)
        for source in self.weather:
            yield _table("[[weather]]", source)
        yield _table("[[rig]]", {"name": "main"})
        yield _table("[rig.mount]", self.mount)
        yield _table("[[rig.train]]", {"name": "main", **self.train})
        parts = {"camera": self.camera, "focuser": self.focuser, "guider": self.guider}
        for name, keys in parts.items():
            if keys:
                yield _table(f"[rig.train.{name}]", keys)
        if folder.absolute() != DEFAULT_ROOT:
            yield _table("[storage]", {"data_dir": "data", "spool_dir": "spool"})
            yield _table("[daemon]", {"run_dir": "run"})

    def write(self, folder: Path) -> list[Path]:
        """Write it and the first targets below `folder`. Returns the files. Raises InputInvalid; overwrites nothing."""
        files = {MAIN_FILE: self.text(folder)}
        if self.wish is not None:
            files[TARGETS_FILE] = document([self.wish])
        written = []
        for name, text in files.items():
            path = folder / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
            except OSError as fault:
                raise InputInvalid(f"{path} cannot be written: {fault.strerror}") from fault
            written.append(path)
        return written


def refuse_to_overwrite(folder: Path) -> None:
    """Raises InputInvalid where the folder has a configuration: an owner's work is never replaced."""
    for name in (MAIN_FILE, TARGETS_FILE):
        if (folder / name).exists():
            raise InputInvalid(f"{folder / name} is there already; name another folder with --out, or move it away")


def _table(heading: str, keys: Mapping[str, Any]) -> str:
    lines = [heading]
    for name, value in keys.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{name} = [", *(f"  {_inline(each)}," for each in value), "]"]
        else:
            lines.append(f"{name} = {toml_text(value)}")
    return "\n".join(lines) + "\n"


def _inline(keys: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{name} = {toml_text(value)}" for name, value in keys.items()) + " }"
