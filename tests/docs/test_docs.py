"""The documentation keeps up with the code: what it names is there, and what is there it names."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from astrod.cli.exits import MEANING
from astrod.cli.main import VERBS, parser_of
from astrod.cli.pages import JOURNEY, OPERATIONS, PARTS, filled
from astrod.config.reference import tables, values_of
from astrod.config.schema import Document
from astrod.domain.exposure import Consequence
from astrod.domain.night import TABLE
from astrod.domain.trouble import TROUBLES
from astrod.errors import InputInvalid
from tests.docs.picture import PICTURE, picture

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "drivers/README.md",
    ROOT / "models/README.md",
    *sorted((ROOT / "daemon/docs").glob("**/*.md")),
]
BASES = (ROOT, ROOT / "daemon/astrod", ROOT / "drivers", ROOT / "models")
"""From where a path in a page may start; the page's own folder too."""

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PATH = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*/?")
_OURS = re.compile(r"(daemon|drivers|models|etc|systemd|tests|astrod_drivers|astrod_models|weights|training)/")
_ASTROD = re.compile(r"^(?:\$ )?astrod (?P<words>[^#\n]*)", re.MULTILINE)


def ident(path: Path) -> str:
    """A page's name in a test's id."""
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def slug(heading: str) -> str:
    """The anchor that a forge gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Every anchor of a page."""
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)}


def named_paths(page: Path) -> Iterator[str]:
    """What a page names, in code marks, that can only be a path of this repository."""
    for text in _CODE.findall(prose(page)):
        word = text.split()[0]
        is_file = word.endswith((".py", ".toml", ".onnx", ".txt")) and "/" in word
        if _PATH.fullmatch(word) and not word.startswith("/") and (_OURS.match(word) or is_file):
            yield word


def is_there(page: Path, word: str) -> bool:
    """Whether the path exists, from any place where a path may start."""
    return any((base / word).exists() for base in (page.parent, *BASES))


# -- what pages name is there ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_links_resolve(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        file, _, anchor = link.partition("#")
        assert "://" not in link, f"{link}: pages link within the repository only"
        target = page.parent / file if file else page
        assert target.exists(), f"{ident(page)} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{ident(page)} links to {link}; there is {sorted(anchors(target))}"


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_named_paths_exist(page: Path) -> None:
    installed = {"conf.d/*.toml", "targets.d/*.toml"}
    missing = [word for word in named_paths(page) if word not in installed and not is_there(page, word)]
    assert missing == []


def test_a_path_that_is_not_there_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("See `daemon/astrod/nowhere.py` and `frames/store.py`.\n", encoding="utf-8")
    assert [word for word in named_paths(page) if not is_there(page, word)] == ["daemon/astrod/nowhere.py"]


def test_names_in_the_journey_are_in_the_code() -> None:
    """`Schedule.choose`, `_attend`: every class, function and method that the page names."""
    known: set[str] = set()
    for path in (ROOT / "daemon/astrod").glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                known.add(node.name)
                functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.AnnAssign)
                members = [n for n in node.body if isinstance(n, functions)]
                known |= {f"{node.name}.{_name(member)}" for member in members}
                known |= {f"{node.name}.{self_set}" for self_set in _set_on_self(node)}
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                known.add(node.name)
    keys = {key for _, table, _ in tables((), Document) for key, _ in values_of(table)}
    words = {word for word in _CODE.findall(prose(ROOT / JOURNEY)) if re.fullmatch(r"_?[A-Za-z]+[._][A-Za-z_.]+", word)}
    effects = set(get_args(Consequence))
    unknown = {word for word in words if not word.endswith((".py", ".part")) and word not in known | keys | effects}
    assert unknown == set()


def _name(member: ast.stmt) -> str:
    if isinstance(member, ast.AnnAssign):
        return member.target.id if isinstance(member.target, ast.Name) else ""
    return getattr(member, "name", "")


def _set_on_self(node: ast.ClassDef) -> Iterator[str]:
    for inner in ast.walk(node):
        targets = inner.targets if isinstance(inner, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Attribute):
                yield target.attr


def make_verbs() -> set[str]:
    """The verbs that `make` alone lists."""
    return set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_make_verbs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE))
    assert named <= make_verbs(), f"{ident(page)} names {named - make_verbs()}"


def test_the_readme_shows_the_two_commands_first() -> None:
    head = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:10]
    assert any(row.startswith("make run") for row in head)
    assert any(row.startswith("make test") for row in head)


def commands(page: Path) -> Iterator[str]:
    """Each command line of astrod that a page shows, in code marks or blocks."""
    text = page.read_text(encoding="utf-8")
    for language, body in _FENCE.findall(text):
        if language == "":
            yield from (match["words"].strip() for match in _ASTROD.finditer(body))
    yield from (code.removeprefix("astrod ") for code in _CODE.findall(prose(page)) if code.startswith("astrod "))


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "cli.md"], ids=ident)
def test_commands_parse(page: Path) -> None:
    """Every `astrod VERB …` that a page shows is one that the parser takes."""
    for command in commands(page):
        words = command.replace("FILE", "file.fits").split()
        verb = next((v for v in VERBS if words[: len(v.name.split())] == v.name.split()), None)
        assert verb is not None, f"{ident(page)} shows `astrod {command}`"
        rest = words[len(verb.name.split()) :]
        if rest:
            parser_of(verb).parse_args(rest)


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_configuration_snippets_have_known_keys(page: Path) -> None:
    """Every TOML block of a page holds tables and keys that the schema knows; a package's pyproject is none of ours."""
    known = {path: {key for key, _ in values_of(table)} for path, table, _ in tables((), Document)}
    for language, body in _FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "toml" and not body.startswith("[project]"):
            _check_keys(tomllib.loads(body), (), known)


def _check_keys(node: Any, path: tuple[str, ...], known: dict[tuple[str, ...], set[str]]) -> None:
    for item in node if isinstance(node, list) else [node]:
        for key, value in item.items():
            if (*path, key) in known:
                _check_keys(value, (*path, key), known)
            else:
                assert key in known.get(path, set()), ".".join((*path, key))


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_trouble_codes_exist(page: Path) -> None:
    named = set(re.findall(r"\bAST-\d{3}\b", page.read_text(encoding="utf-8")))
    assert named <= set(TROUBLES), f"{ident(page)} names {named - set(TROUBLES)}"


# -- what is there is named --------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", list(PARTS), ids=str)
def test_generated_parts_are_as_the_code_is(page: Path) -> None:
    """If this fails: python -m astrod.cli.pages."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert filled(text, PARTS[page]) == text


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(InputInvalid, match="troubles"):
        filled("# Operations\n", PARTS[OPERATIONS])


def test_operations_has_every_trouble_and_every_exit_code() -> None:
    text = (ROOT / OPERATIONS).read_text(encoding="utf-8")
    for trouble in TROUBLES.values():
        assert f"| {trouble.code} | {trouble.severity} | {trouble.meaning} | {trouble.remedy} |" in text
    for code in MEANING:
        assert f"| {code} | " in text


def test_the_journey_has_every_phase_and_every_move() -> None:
    text = (ROOT / JOURNEY).read_text(encoding="utf-8")
    for (phase, _), (then, _) in TABLE.items():
        assert f"| **{phase}** |" in text
        if then != phase:
            assert f"    {phase} --> {then}: " in text


def test_the_picture_is_of_todays_screen() -> None:
    """If this fails: python -m tests.docs.picture."""
    assert PICTURE.read_text(encoding="utf-8") == picture()


def test_every_make_verb_is_in_the_readme_or_in_contributing() -> None:
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    assert [verb for verb in sorted(make_verbs() - {"help", "clean"}) if f"make {verb}" not in text] == []


@pytest.mark.parametrize(
    "package",
    sorted(
        path.parent
        for top in ("daemon", "drivers", "models/astrod_models")
        for path in ROOT.glob(f"{top}/**/__init__.py")
    ),
    ids=ident,
)
def test_every_package_says_what_it_is_for(package: Path) -> None:
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{ident(package)}/__init__.py has no docstring"


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "daemon/docs/decisions"
    listed = set(_LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
    pages = {path.name for path in folder.glob("[0-9]*.md")}
    assert pages
    assert pages == listed
    for name in sorted(pages):
        assert len((folder / name).read_text(encoding="utf-8").splitlines()) <= 40, f"{name} is more than one screen"


def test_the_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert project["license"] in (ROOT / "README.md").read_text(encoding="utf-8")
