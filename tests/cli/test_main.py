"""The command line as a person or a script meets it: in a process of its own, with its exit codes."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from types import ModuleType
from typing import Any

import pytest

from astrod import __version__
from astrod.api.schema import ClockAnswer, read
from astrod.api.server import ApiServer
from astrod.cli import exits
from astrod.cli.clock import clock_lines
from astrod.cli.main import VERBS, main
from astrod.cli.manual import PAGE, page
from astrod.errors import Bug, InputInvalid, TellOperator
from tests.cli import samples
from tests.config.observatory import GOOD, TARGETS, lay

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "astropy", "pydantic", "ortools", "onnxruntime", "sqlite_utils", "asyncio", "rich", "scipy")


def astrod(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(ROOT / part) for part in ("daemon", "drivers", "models"))
    return subprocess.run(
        [sys.executable, "-m", "astrod.cli.main", *args],
        env={**os.environ, "PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class _Daemon:
    """A real server in a thread, with samples for answers. `asked` are the requests so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._up, self._down = Event(), Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> "_Daemon":
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._down.set()
        self._thread.join()

    async def _serve(self) -> None:
        answers = {
            "status": samples.quiet(),
            "plan": samples.plan(),
            "targets": samples.targets(),
            "frames": samples.frames(),
            "detections": samples.detections(),
            "offsets": samples.offsets(),
            "clock": samples.clock(),
            "state_time": samples.clock(),
            **{verb: {"schema": 1, "text": f"{verb} it is"} for verb in ("pause", "resume", "close")},
        }
        server = ApiServer(
            self.folder / "run" / "astrod.sock",
            {verb: self._handler(verb, said) for verb, said in answers.items()},
        )
        await server.start()
        self._up.set()
        await asyncio.to_thread(self._down.wait)
        await server.stop()

    def _handler(self, verb: str, said: dict[str, Any]) -> Any:
        async def handle(args: dict[str, Any]) -> dict[str, Any]:
            self.asked.append((verb, args))
            return said

        return handle


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return lay(tmp_path, GOOD + '[daemon]\nrun_dir = "run"\n', targets_sky=TARGETS)


@pytest.fixture
def daemon(site: Path) -> Iterator[_Daemon]:
    with _Daemon(site) as running:
        yield running


def test_version_and_help() -> None:
    assert astrod("--version").stdout == f"astrod {__version__}\n"
    told = astrod("--help").stdout
    for verb in VERBS:
        assert verb.name.split()[0] in told
    for code in exits.MEANING:
        assert f"\n  {code} " in told


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["dance"],
        ["status", "--jso"],
        ["frames", "--night", "yesterday"],
        ["frames", "--limit", "0"],
        ["pause", "--until", "soon"],
        ["night", "--seed", "-1"],
        ["night", "--date", "2026-13-01"],
        ["night", "--site", "A B"],
        ["judge"],
        ["config"],
    ],
)
def test_wrong_usage_is_2(args: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == exits.USAGE


@pytest.mark.parametrize(
    "verb", [["status"], ["plan"], ["targets"], ["frames"], ["pause"], ["resume"], ["status", "--json"]]
)
def test_no_daemon_is_3_and_says_how_to_start_it(
    site: Path, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(site), *verb]) == exits.NOT_RUNNING
    out, err = capsys.readouterr()
    assert out == ""
    assert "systemctl start astrod" in err


@pytest.mark.parametrize(
    ("verb", "sample", "word"),
    [
        ("status", samples.quiet(), "SAFE"),
        ("plan", samples.plan(), "NGC 891"),
        ("targets", samples.targets(), "38/40"),
        ("frames", samples.frames(), "rejected: clouds"),
        ("detections", samples.detections(), "41 % cloud"),
        ("offsets", samples.offsets(), "+15    learned, overruled"),
    ],
)
def test_reading_verbs_speak_to_people_and_to_scripts(
    daemon: _Daemon, verb: str, sample: dict[str, Any], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--config", str(daemon.folder)]) == exits.DONE
    assert word in capsys.readouterr().out
    assert main(["--config", str(daemon.folder), verb, "--json"]) == exits.DONE
    assert json.loads(capsys.readouterr().out) == sample


def test_wishes_reach_the_daemon_with_their_moment_and_who(daemon: _Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["pause", "--until", "02:30"], ["resume"], ["close"]):
        assert main(["--config", str(daemon.folder), *args]) == exits.DONE
    assert capsys.readouterr().out == "pause it is\nresume it is\nclose it is\n"
    assert [(verb, args.get("until")) for verb, args in daemon.asked] == [
        ("pause", "02:30"),
        ("resume", None),
        ("close", None),
    ]
    assert all(args["who"] for _, args in daemon.asked)


def test_the_time_is_stated_with_its_error_and_who_says_so(daemon: _Daemon) -> None:
    assert main(["--config", str(daemon.folder), "clock"]) == exits.DONE
    assert main(["--config", str(daemon.folder), "clock", "2026-12-14T22:01:05Z", "--error-s", "3"]) == exits.DONE
    assert daemon.asked[0] == ("clock", {})
    verb, said = daemon.asked[1]
    assert (verb, said["utc"], said["error_s"]) == ("state_time", "2026-12-14T22:01:05Z", 3.0)
    assert said["who"]


@pytest.mark.parametrize("error", ["0", "-1", "nan", "soon"])
def test_a_time_without_an_error_is_wrong_usage(daemon: _Daemon, error: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--config", str(daemon.folder), "clock", "2026-12-14T22:01:05Z", "--error-s", error])
    assert caught.value.code == 2
    assert daemon.asked == []


def test_the_clock_is_shown_with_what_it_forbids() -> None:
    said = read(ClockAnswer, samples.clock())
    text = "\n".join("".join(span.text for span in row) for row in clock_lines(said))
    assert "error   unknown (nothing slews above 15 s)" in text
    assert "slews   forbidden: clock: clock_error_s is not measured" in text
    known = "".join(span.text for span in clock_lines({**said, "error_s": 0.01234, "error_max_s": None})[2])
    assert known == "error   0.0123 s at most (no bound)"


def test_frames_asks_for_what_was_asked(daemon: _Daemon) -> None:
    assert main(["--config", str(daemon.folder), "frames", "--night", "2026-12-13", "--limit", "5"]) == exits.DONE
    assert daemon.asked == [("frames", {"night": "2026-12-13", "limit": 5})]


def test_status_costs_next_to_nothing(daemon: _Daemon) -> None:
    code = (
        "import sys, resource; from astrod.cli.main import main; code = main(['status']);"
        "used = resource.getrusage(resource.RUSAGE_SELF);"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules];"
        "print(code, used.ru_utime + used.ru_stime, ','.join(heavy) or 'none', file=sys.stderr)"
    )
    path = os.pathsep.join(str(ROOT / part) for part in ("daemon", "drivers", "models"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "ASTROD_CONFIG": str(daemon.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "SAFE" in done.stdout
    status, cpu_s, heavy = done.stderr.split()
    assert status == "0"
    assert heavy == "none"
    assert float(cpu_s) < 0.3


def test_a_reader_that_leaves_early_is_no_error(daemon: _Daemon) -> None:
    path = os.pathsep.join(str(ROOT / part) for part in ("daemon", "drivers", "models"))
    verb = f"{sys.executable} -m astrod.cli.main --config {daemon.folder} frames --json"
    line = f"{verb} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "0"
    assert done.stderr == ""


def test_config_check_says_ok_with_a_summary(site: Path) -> None:
    done = astrod("--config", str(site), "config", "check", "-v")
    assert done.returncode == exits.DONE
    assert done.stdout.startswith("ok: home (home): 1 rig, 1 train, a roof, 1 weather source, 1 target, 1 request\n")
    assert f"read {site}/targets.d/sky.toml" in done.stdout


def test_config_check_names_every_fault_and_ends_with_78(tmp_path: Path) -> None:
    lay(tmp_path, GOOD.replace("height_m", "heigth_m").replace("41.7", "99"), targets_sky=TARGETS + TARGETS)
    done = astrod("--config", str(tmp_path), "config", "check")
    assert done.returncode == exits.CONFIG
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "astrod.toml:3: [site] latitude_deg: 99 is outside -90..90",
        'astrod.toml:5: [site] heigth_m: no such key; did you mean "height_m"?',
        'targets.d/sky.toml:6: [[target]] 2 name: "M 31" is a target already; each name is used once',
        "3 faults in the configuration",
    ]
    told = astrod("--config", str(tmp_path), "config", "check", "--json")
    assert told.returncode == exits.CONFIG
    assert json.loads(told.stdout)["faults"] == done.stderr.splitlines()[:3]


def test_config_check_tells_overrides_only_when_asked(site: Path) -> None:
    lay(site, (site / "astrod.toml").read_text(), conf_a="[site]\nheight_m = 800\n")
    quiet, told = (
        astrod("--config", str(site), "config", "check"),
        astrod("--config", str(site), "config", "check", "-v"),
    )
    assert "replaces" not in quiet.stdout
    assert "conf.d/a.toml:2: [site] height_m replaces astrod.toml:5" in told.stdout


def test_a_name_of_the_catalogue_is_enough(tmp_path: Path) -> None:
    lay(
        tmp_path,
        targets_sky=TARGETS.replace('coordinates = "00h42m44s +41d16m08s"', "").replace("M 31", "M 311"),
    )
    done = astrod("--config", str(tmp_path), "config", "check")
    assert done.returncode == exits.CONFIG
    assert "no object is called 'M 311'; did you mean M31" in done.stderr
    lay(tmp_path, targets_sky=TARGETS.replace('coordinates = "00h42m44s +41d16m08s"', ""))
    assert astrod("--config", str(tmp_path), "config", "check").returncode == exits.DONE


def test_a_root_that_is_not_there_is_78(tmp_path: Path) -> None:
    for verb in (["config", "check"], ["status"], ["run"]):
        done = astrod("--config", str(tmp_path / "none"), *verb)
        assert done.returncode == exits.CONFIG
        assert "is not there; name a file or folder with --config" in done.stderr


def part(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    """Put a part of astrod in place of the real one, which these tests are not about."""
    module = ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def test_run_gets_the_loaded_configuration(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def run(loaded: Any) -> int:
        seen.append(loaded)
        return 7

    part(monkeypatch, "astrod.rehearsal.simulator", run=run)
    assert main(["--config", str(site), "run"]) == 7
    assert seen[0].site.name == "home"
    assert seen[0].targets[0].name == "M 31"


def test_close_without_a_daemon_closes_directly(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Path | None] = []

    def close_now(root: Path | None) -> int:
        seen.append(root)
        return 1

    part(monkeypatch, "astrod.daemon", close_now=close_now)
    assert main(["--config", str(site), "close"]) == 1
    assert seen == [site]
    assert "closing directly" in capsys.readouterr().out


def test_night_passes_everything_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def play(args: Any) -> int:
        seen.append(args)
        return 0

    part(monkeypatch, "astrod.rehearsal.night", main=play)
    line = f"night --site pujalt --date 2026-12-14 --seed 7 --weather cloudy --json --small --keep {tmp_path}"
    assert main(line.split()) == exits.DONE
    (args,) = seen
    assert (args.site, args.date, args.seed, args.weather) == ("pujalt", "2026-12-14", 7, "cloudy")
    assert (args.json, args.small, args.keep) == (True, True, tmp_path)


def report(path: Path, series: object) -> dict[str, Any]:
    if path.suffix != ".fits":
        raise InputInvalid(f"{path}: is no FITS file; give raw frames")
    return {
        "file": str(path),
        "quality": 87.0,
        "verdict": "keep",
        "issues": {"clouds": 0.01, "trailing": 0.7, "defocus": 0.0, "streak": 0.0},
        "measured": {"stars": 412, "fwhm_px": 2.9, "elongation": 1.1, "background": 812.0},
        "model": "quality-1",
        "why": ["412 stars, 2.9 px wide, 1.10x longer than wide"],
        "anomaly": {"score": 0.1, "flag": False, "tiles": []},
    }


def test_judge_names_the_bad_file_and_judges_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part(monkeypatch, "astrod.appraise", report=report, Series=object)
    assert main(["judge", "--json", "a.fits", "b.txt", "c.fits"]) == exits.FAILED
    out, err = capsys.readouterr()
    rows = [json.loads(row) for row in out.splitlines()]
    assert [row["file"] for row in rows] == ["a.fits", "b.txt", "c.fits"]
    assert rows[1] == {"file": "b.txt", "error": "b.txt: is no FITS file; give raw frames"}
    assert rows[0]["verdict"] == "keep"
    assert err == "b.txt: is no FITS file; give raw frames\n"
    assert main(["judge", "a.fits"]) == exits.DONE
    assert (
        "a.fits                                keep    87  trailing 70%, FWHM 2.9 px, 412 stars"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (TellOperator("turn the key"), exits.FAILED, "astrod: turn the key\n"),
        (Bug("two roofs"), exits.OUR_FAULT, "please report it"),
        (RuntimeError("what"), exits.OUR_FAULT, "please report it"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_whatever_goes_wrong_becomes_a_message_and_a_code(
    site: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: BaseException,
    code: int,
    said: str,
) -> None:
    def run(loaded: Any) -> int:
        raise fault

    part(monkeypatch, "astrod.rehearsal.simulator", run=run)
    assert main(["--config", str(site), "run"]) == code
    assert said in capsys.readouterr().err


def test_the_manual_is_as_the_parser_is() -> None:
    """If this fails: python -m astrod.cli.manual."""
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page()


def test_every_verb_names_its_trap_and_an_example() -> None:
    for verb in VERBS:
        assert len(verb.text) > 60, verb.name
        assert verb.example.startswith("astrod "), verb.name
        assert not verb.summary.endswith("."), verb.name
