"""Reading a configuration: every file, every fault at once."""

import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from astrod.config.build import Builder, Resolve
from astrod.config.faults import Fault, fault_at, faults_of
from astrod.config.joining import Joined
from astrod.config.position import KeyPath, key_lines
from astrod.config.repair import beside, repaired
from astrod.config.roots import ConfigFiles, find
from astrod.config.schema import Document
from astrod.config.settings import Settings
from astrod.domain.site import Site
from astrod.domain.target import Target
from astrod.errors import ConfigInvalid

_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration without a fault.

    `digest` (sha256) changes when any file does. `notes` say what is right but perhaps not meant, `overrides`
    which keys a later file replaced; both are for people. `values` is every key with its value, defaults filled
    in, for `changes`. To read the same configuration again, load `files[0]`: its name may not be astrod.toml.
    """

    site: Site
    targets: tuple[Target, ...]
    settings: Settings
    files: tuple[Path, ...]
    digest: str
    notes: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> Path:
        """Where relative paths begin."""
        return self.files[0].parent


def load(root: Path | None = None, resolve: Resolve | None = None) -> Loaded:
    """The configuration at `root`, a file or a folder; None: ASTROD_CONFIG, else /etc/astrod.

    `resolve` finds targets that have only a name. Raises ConfigInvalid with every fault there is.
    """
    files = find(root)
    reading = _Reading(files)
    reading.read()
    return reading.loaded(resolve)


class _Reading:
    """One reading of the files, with the faults found so far."""

    def __init__(self, files: ConfigFiles) -> None:
        self.files = files
        self.joined = Joined()
        self.faults: list[Fault] = []
        self.hash = hashlib.sha256()

    def read(self) -> None:
        for path in self.files.all:
            self._read(path, targets_only=path in self.files.targets)

    def _read(self, path: Path, *, targets_only: bool) -> None:
        label = self.files.label(path)
        try:
            content = path.read_bytes()
            text = content.decode("utf-8-sig")
        except OSError as fault:
            self.faults.append(Fault(label, 0, "", f"cannot be read: {fault.strerror}"))
            return
        except UnicodeDecodeError as fault:
            line = fault.object[: fault.start].count(b"\n") + 1
            self.faults.append(Fault(label, line, "", "is not UTF-8 text; save it as UTF-8"))
            return
        self.hash.update(f"{label}\0{len(content)}\0".encode() + content)
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as fault:
            self.faults.append(_syntax_fault(label, text, str(fault)))
            return
        lines = key_lines(text)
        for name in [name for name in values if targets_only and name != "target"]:
            del values[name]
            self.faults.append(Fault(label, lines[(name,)], "", f"{name}: only [[target]] belongs in targets.d"))
        self.joined.add(label, values, lines)

    def loaded(self, resolve: Resolve | None) -> Loaded:
        unread = bool(self.faults)
        try:
            document = Document.model_validate(self.joined.values)
        except ValidationError as error:
            self._schema_faults(error, unread, resolve)
            raise ConfigInvalid(self._sorted()) from error
        builder = Builder(document, self.files.folder, resolve)
        site, targets, settings = builder.site(), builder.targets(), builder.settings()
        if not unread:  # else what is amiss may be right in the file that could not be read
            self._add(builder.faults)
        if self.faults or site is None:
            raise ConfigInvalid(self._sorted())
        return Loaded(
            site=site,
            targets=targets,
            settings=settings,
            files=self.files.all,
            digest=self.hash.hexdigest(),
            notes=tuple(builder.notes),
            overrides=tuple(self.joined.overrides),
            values=document.model_dump(),
        )

    @property
    def main(self) -> str:
        return self.files.label(self.files.main)

    def _add(self, faults: list[tuple[KeyPath, str]]) -> None:
        self.faults += [fault_at(self.joined, path, text, self.main) for path, text in faults]

    def _schema_faults(self, error: ValidationError, unread: bool, resolve: Resolve | None) -> None:
        """What the schema found and, as far as can be told beside it, what is wrong between the keys."""
        found = faults_of(error, self.joined, self.main)
        if unread:  # what seems to be missing may stand in a file that could not be read
            self.faults += [fault for fault in found if not fault.text.startswith("is missing")]
            return
        self.faults += found
        whole = repaired(self.joined.values, error)
        if whole is not None:
            document, touched = whole
            builder = Builder(document, self.files.folder, resolve)
            builder.site(), builder.targets(), builder.settings()
            self._add([(path, text) for path, text in builder.faults if not beside(path, touched)])

    def _sorted(self) -> list[str]:
        """In the order in which the files are read, then by line."""
        order = {self.files.label(path): index for index, path in enumerate(self.files.all)}
        return [str(fault) for fault in sorted(self.faults, key=lambda f: (order[f.file], f.line, f.place))]


def _syntax_fault(label: str, text: str, message: str) -> Fault:
    match = _SYNTAX_PLACE.search(message)
    line = int(match[1]) if match and match[1] else text.count("\n") + 1
    what = _SYNTAX_PLACE.sub("", message)
    return Fault(label, line, "", f"is not TOML: {what}; nothing else of this file was read")
