"""Finding the socket without reading the whole configuration."""

from pathlib import Path

import pytest

from astrod.config.load import load
from astrod.config.roots import socket_path
from astrod.errors import ConfigInvalid
from tests.config.observatory import GOOD, lay


@pytest.mark.parametrize(
    "section",
    [
        "",
        'run_dir = "run"',
        'run_dir = "/tmp/x"',
        'socket = "other.sock"',
        'run_dir = "r"\nsocket = "/tmp/s"',
    ],
)
def test_client_and_daemon_agree_on_the_socket(tmp_path: Path, section: str) -> None:
    lay(tmp_path, conf_a=f"[daemon]\n{section}\n")
    assert socket_path(tmp_path) == load(tmp_path).settings.daemon.socket


def test_a_configuration_under_edit_does_not_hide_the_daemon(tmp_path: Path) -> None:
    lay(tmp_path, GOOD + '[daemon]\nrun_dir = "run"\n', conf_a="[site\n", conf_b="daemon = 3\n")
    assert socket_path(tmp_path) == tmp_path / "run" / "astrod.sock"


def test_no_configuration_at_all_means_the_usual_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASTROD_CONFIG", raising=False)
    monkeypatch.setattr("astrod.config.roots.DEFAULT_ROOT", Path("/nowhere"))
    assert socket_path() == Path("/run/astrod/astrod.sock")


def test_where_nothing_is_installed_the_demonstration_here_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASTROD_CONFIG", raising=False)
    monkeypatch.setattr("astrod.config.roots.DEFAULT", tmp_path / "etc" / "astrod.toml")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "astrod.toml").write_text('[daemon]\nrun_dir = "run"\n')
    assert socket_path().resolve() == tmp_path / "demo" / "run" / "astrod.sock"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "astrod.toml").write_text("")
    assert socket_path() == Path("/run/astrod/astrod.sock")


def test_a_root_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"has no astrod\.toml"):
        socket_path(tmp_path)


def test_a_folder_that_cannot_be_read_is_not_overlooked(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / "conf.d").write_text("not a folder")
    with pytest.raises(ConfigInvalid, match=r"conf\.d: cannot be read: Not a directory"):
        load(tmp_path)
    with pytest.raises(ConfigInvalid, match="cannot be read: File name too long"):
        load(tmp_path / ("x" * 300))


def test_hidden_and_other_files_are_left_alone(tmp_path: Path) -> None:
    lay(tmp_path, conf_a="[site]\nheight_m = 800\n")
    for name in (".#a.toml", "a.toml~", "a.toml.bak", "README"):
        (tmp_path / "conf.d" / name).write_text("[[[")
    assert [path.name for path in load(tmp_path).files] == ["astrod.toml", "a.toml"]
