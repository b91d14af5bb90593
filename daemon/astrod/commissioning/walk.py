"""The walk: the steps in their order, each of which may be done again, and some left out."""

import asyncio
import re
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from astrod.commissioning.draft import Draft, refuse_to_overwrite
from astrod.commissioning.hardware import (
    SIMULATED,
    Known,
    Offered,
    OpenSession,
    alpaca_devices,
    generous_s,
    indi_devices,
    look,
    simulated,
    time_roof,
)
from astrod.commissioning.interview import NONE, Interview
from astrod.commissioning.limits import WORTHY, Worth
from astrod.config.load import Loaded
from astrod.config.schema import NAME
from astrod.doctor.hardware import sight
from astrod.domain.darkness import dark_time
from astrod.domain.identity import night_of
from astrod.domain.instant import iso
from astrod.domain.site import Darkness, Place
from astrod.errors import AstrodError, ConfigInvalid, InputInvalid, TellOperator
from astrod.rehearsal.targets import Wish
from astrod.runtime.clock import Clock
from astrod_drivers.address import INDI_PORT, parse
from astrod_drivers.errors import AddressInvalid, DriverError

T = TypeVar("T")
Load = Callable[[Path], Loaded]
"""The configuration's own check: what `astrod config check` goes by. Raises ConfigInvalid."""

NEEDED = ("mount", "camera")
KINDS = ("mount", "camera", "focuser", "wheel", "rotator", "cover", "roof", "weather", "safety_monitor")
ASKED = {
    "mount": "the mount",
    "camera": "the camera that takes the frames",
    "focuser": "the focuser",
    "wheel": "the filter wheel",
    "rotator": "the rotator",
    "cover": "the telescope's cover",
    "roof": "the roof or dome",
    "weather": "the weather station",
    "safety_monitor": "a device that says safe or unsafe and no more",
}
FAST, SLOW = 1.5, 20.0


@dataclass
class Found:
    """What the walk knows so far."""

    offers: list[Offered] = field(default_factory=list)
    chosen: dict[str, str] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)

    def address(self, kind: str) -> str | None:
        """The chosen device's address; None where there is none."""
        return self.chosen.get(kind)


class Walk:
    """One commissioning, from the first question to the files."""

    def __init__(self, interview: Interview, open_session: OpenSession, clock: Clock) -> None:
        self._interview, self._open, self._clock = interview, open_session, clock
        self._found, self.draft = Found(), Draft()

    def go(self, folder: Path, load: Load) -> Loaded:
        """Ask everything, check the outcome as `astrod config check` does, then write it to `folder`.

        Nothing is written that does not pass. Raises InputInvalid, ConfigInvalid, TellOperator.
        """
        refuse_to_overwrite(folder)
        for name, step, optional in self._steps():
            self._take(name, step, optional)
        self._account_for_unused()
        loaded = self._checked(folder, load)
        written = self.draft.write(folder)
        self._interview.tell("")
        for path in written:
            self._interview.tell(f"written: {path}")
        self._tell_what_to_do_next(folder, loaded)
        return loaded

    def _account_for_unused(self) -> None:
        """Answers that no question asked for: a slip, which costs a person no answer of theirs."""
        if not self._interview.unused:
            return
        text = f"no question asked for {', '.join(self._interview.unused)}; see daemon/docs/commissioning.md"
        if not self._interview.attended:
            raise InputInvalid(text)
        self._interview.tell(f"  {text}")

    def _steps(self) -> Sequence[tuple[str, Callable[[], None], bool]]:
        return (
            ("site", self._site, False),
            ("servers", self._servers, True),
            ("devices", self._devices, False),
            ("optics", self._optics, False),
            ("roof", self._roof, True),
            ("weather", self._weather, True),
            ("targets", self._targets, True),
        )

    def _take(self, name: str, step: Callable[[], None], optional: bool) -> None:
        """A step, until its person is content. Without one its trouble is the end."""
        interview = self._interview
        interview.tell(f"\n== {name}")
        if optional and interview.skipped(name):
            return
        while True:
            failed = self._fails(name, step)
            if failed and not optional:
                interview.forget(f"{name}.")  # nothing can be without it: it is asked anew
            elif not interview.again(name):
                return

    def _fails(self, name: str, step: Callable[[], None]) -> bool:
        """Take a step; whether it came to grief, which is told."""
        try:
            step()
        except (DriverError, AstrodError, TimeoutError, OSError) as fault:
            text = str(fault) or "no answer in time"
            if not self._interview.attended:
                raise TellOperator(f"{name}: {text}") from fault
            self._interview.tell(f"  {text}")
            return True
        return False

    def _run(self, body: Coroutine[Any, Any, T]) -> T:
        """Ask the hardware. The loop lasts for one question only, so that ^C works while a person thinks."""
        return asyncio.run(body)

    # -- where ---------------------------------------------------------------------------------------------------

    def _site(self) -> None:
        ask = self._interview

        def is_name(word: str) -> str | None:
            return None if re.match(NAME, word) else "lower-case letters, digits and _, a letter first, 32 at most"

        self.draft.site = {
            "name": ask.text("site.name", "short name of the site, for file names, for ever", check=is_name),
            "title": ask.text("site.title", "its name for people", "My observatory"),
            "latitude_deg": ask.required_number("site.latitude_deg", "latitude, degrees, north positive", -90, 90),
            "longitude_deg": ask.required_number("site.longitude_deg", "longitude, degrees, east positive", -180, 180),
            "height_m": ask.required_number("site.height_m", "height above sea level, metres", -430, 9000),
        }
        place = self._place
        if (place.latitude_deg, place.longitude_deg) == (0.0, 0.0):
            raise InputInvalid("0, 0 lies in the Gulf of Guinea; look the place up on a map")
        night = night_of(self._clock.now_us(), place.longitude_deg)
        dark = dark_time(place, Darkness(), night)
        when = f"dark from {iso(dark.dusk_us)[11:16]} to {iso(dark.dawn_us)[11:16]} UTC"
        words = when if dark.dawn_us > dark.dusk_us else "never dark enough"
        ask.tell(f"  the night of {night} there is {words}; hours off means a wrong sign")
        if not ask.yes("site.dark_then", "is that when it gets dark for you?", True):
            raise InputInvalid("correct latitude and longitude: west and south are negative")

    @property
    def _place(self) -> Place:
        site = self.draft.site
        return Place(site["latitude_deg"], site["longitude_deg"], site["height_m"])

    # -- what ----------------------------------------------------------------------------------------------------

    def _servers(self) -> None:
        ask = self._interview
        self._found.offers = []
        named = ask.text("servers.indi", "INDI servers, HOST:PORT with commas between them", NONE, _bad_servers)
        for host, port in _servers(named):
            self._offer(self._run(indi_devices(host, port, self._clock)), f"{host}:{port}")
        if ask.yes("servers.alpaca", "ask the network for Alpaca servers?"):
            self._offer(self._run(alpaca_devices(self._clock)), "Alpaca")
        if ask.yes("servers.simulated", "offer the simulated observatory too?"):
            self._offer(simulated(), "simulated")

    def _offer(self, found: list[Offered], where: str) -> None:
        self._found.offers += found
        names = dict.fromkeys(f"{offer.name} ({offer.kind})" for offer in found)
        self._interview.tell(f"  {where}: {', '.join(names) or 'no device'}")

    def _devices(self) -> None:
        self._found.chosen, self._found.known = {}, {}
        for kind in KINDS:
            self._choose(kind)
        self.draft.mount = {"address": self._found.chosen["mount"]}
        self.draft.camera = {"address": self._found.chosen["camera"]}
        glass = ("wheel", "rotator", "cover")
        self.draft.train = {kind: self._found.chosen[kind] for kind in glass if kind in self._found.chosen}
        focuser = self._found.address("focuser")
        self.draft.focuser = {"address": focuser} if focuser else {}
        self._choose_guider()

    def _choose(self, kind: str) -> None:
        """Choose a device and hear it. A person whose device does not answer chooses again, or takes it unheard."""
        ask, key = self._interview, f"devices.{kind}"
        offers = [offer for offer in self._found.offers if offer.kind == kind]
        for offer in offers:
            ask.tell(f"  {kind}: {offer.name}, {offer.address}")
        default = offers[0].address if len(offers) == 1 else None if kind in NEEDED else NONE
        question = f"{ASKED[kind]}: a name or an address{'' if kind in NEEDED else f', or {NONE}'}"
        named = ask.text(key, question, default, lambda word: _bad_device(word, offers, kind))
        if named == NONE:
            self._found.chosen.pop(kind, None)
            return
        address = next((offer.address for offer in offers if named in (offer.name, offer.address)), named)
        self._found.chosen[kind] = address
        if not self._heard(kind, address):
            ask.forget(key)
            self._choose(kind)

    def _heard(self, kind: str, address: str) -> bool:
        """Whether a device answered, or its person takes it unheard; what it says is told."""
        ask = self._interview
        if parse(address).scheme == "sim":
            ask.tell(f"  {address} is simulated: it is there while astrod runs")
            return True
        try:
            known = self._found.known[kind] = self._run(look(self._open, kind, address, self._place, self._clock))
        except (DriverError, TimeoutError, OSError) as fault:
            if not ask.attended:
                raise
            ask.tell(f"  {str(fault) or 'no answer in time'}")
            return ask.yes(f"devices.{kind}_unheard", "take it all the same?")
        for words in known.words:
            ask.tell(f"  {words}")
        return True

    def _choose_guider(self) -> None:
        ask = self._interview
        question = f"the guider: phd2://HOST:PORT, the address of a guide camera, or {NONE}"
        named = ask.text("devices.guider", question, NONE, lambda word: _bad_device(word, [], "guider"))
        if named == NONE:
            self.draft.guider = {}
        elif parse(named).scheme == "phd2":
            self.draft.guider = {"address": named}
        else:
            focal_mm = ask.required_number("devices.guider_focal_length_mm", "its focal length, mm", 10, 100_000)
            self.draft.guider = {"camera": named, "focal_length_mm": focal_mm}

    # -- glass ---------------------------------------------------------------------------------------------------

    def _optics(self) -> None:
        ask = self._interview
        focal_mm = ask.required_number("optics.focal_length_mm", "focal length, mm, reducer counted", 1, 100_000)
        aperture_mm = ask.required_number("optics.aperture_mm", "clear aperture, mm", 1, 40_000)
        if not FAST <= focal_mm / aperture_mm <= SLOW:
            ask.tell(f"  that is f/{focal_mm / aperture_mm:.1f}: are they the wrong way round?")
        self.draft.train = {"focal_length_mm": focal_mm, "aperture_mm": aperture_mm, **_glass(self.draft.train)}
        camera = self._found.known.get("camera")
        if camera is not None and camera.info is not None:
            scale = camera.info.pixel_um / focal_mm * 206.265
            across = camera.info.width_px * scale / 3600.0, camera.info.height_px * scale / 3600.0
            ask.tell(f'  {scale:.2f}" a pixel, a field of {across[0]:.2f}° by {across[1]:.2f}°')
        if camera is None or camera.info is None or camera.info.cooled:
            question = f"sensor temperature, °C; one that the cooler holds in summer too; {NONE} leaves it alone"
            cool_c = ask.number("optics.cool_to_c", question, -100, 40, none=True)
            cooling = {} if cool_c is None else {"cool_to_c": cool_c}
            self.draft.camera = {"address": self.draft.camera["address"], **cooling}
        if self.draft.focuser:
            question = "steps between two points of a focus run; three of them must visibly defocus a star"
            self.draft.focuser["step"] = round(ask.required_number("optics.focus_step", question, 1, 100_000, 150))

    # -- what can be lost ----------------------------------------------------------------------------------------

    def _roof(self) -> None:
        ask, address = self._interview, self._found.address("roof")
        if address is None:
            self._open_air()
            return
        parked = ask.yes("roof.needs_parked", "must the mount be parked before the roof moves?", True)
        options = [
            ("mount", "the mount's own word that it is parked"),
            ("none", "the roof clears the telescope wherever it points"),
        ]
        options = options if parked else options[1:]
        interlock = ask.choice("roof.interlock", "what tells that the mount is out of the way", options, options[0][0])
        stuck = [
            ("stay_open", "the telescope in the rain, unbroken; covers close, and you are called"),
            ("close_anyway", "the roof on the telescope, dry"),
        ]
        question = "a mount that does not park when it rains, under a roof that could hit it"
        self.draft.roof = {"address": address, "needs_parked": parked, "interlock": interlock}
        if parked:
            self.draft.roof["on_stuck_mount"] = ask.choice("roof.on_stuck_mount", question, stuck, "stay_open")
        self.draft.roof |= self._roof_times(address)

    def _open_air(self) -> None:
        self.draft.site["roof"] = NONE
        self._interview.tell('  no roof: roof = "none", and somebody stays with the telescope until dawn')

    def _roof_times(self, address: str) -> dict[str, float]:
        """How long the roof may take: timed where its person agrees to move it by its own button, else asked."""
        ask, opened_s, closed_s = self._interview, 120.0, 120.0
        ask.tell("  astrod does not move the roof here. It can watch, and time it, while you do, by its own button.")
        timed = parse(address).scheme != "sim" and ask.yes("roof.time_it", "time it now, by daylight?")
        if timed and ask.yes("roof.beside_it", "do you stand beside it, its way clear and the mount parked?"):
            took = self._run(time_roof(self._open, address, self._clock, lambda text: ask.tell(f"  {text}")))
            opened_s, closed_s = generous_s(took[0]), generous_s(took[1])
        return {
            "open_s": ask.required_number("roof.open_s", "opening takes no longer than, s", 1, 1800, opened_s),
            "close_s": ask.required_number("roof.close_s", "closing takes no longer than, s", 1, 1800, closed_s),
        }

    def _weather(self) -> None:
        self.draft.weather = []
        for kind, name in (("weather", "station"), ("safety_monitor", "monitor")):
            address = self._found.address(kind)
            if address is not None:
                source: dict[str, Any] = {"name": name, "address": address, "kind": kind}
                self.draft.weather.append(source if kind != "weather" else source | self._limits())
        if not self.draft.weather and self.draft.roof:
            self._interview.tell("  nothing sees the weather: a person must, all night")

    def _limits(self) -> dict[str, Any]:
        """Limits on what the station measures, each of which its owner would defend."""
        ask, known = self._interview, self._found.known.get("weather")
        reading = None if known is None else known.state.values
        ask.tell("  choose what you would defend on the morning after; an unknown or silent value is unsafe anyway")
        limits = [limit for worth in WORTHY if (limit := self._limit(worth, reading)) is not None]
        return {"limits": limits} if limits else {}

    def _limit(self, worth: Worth, reading: dict[str, float] | None) -> dict[str, Any] | None:
        ask = self._interview
        if reading is not None and worth.name not in reading:
            return None
        ask.tell(f"  {worth.name}: {worth.why}" + (f"; now {reading[worth.name]:g}" if reading else ""))
        question = f"unsafe above, {worth.unit}, or {NONE}"
        high = ask.number(f"weather.{worth.name}", question, worth.low, worth.most, worth.usual, none=True)
        if high is None:
            return None
        if reading is not None and reading[worth.name] > high:
            ask.tell("  by that it is unsafe now")
        return {"name": worth.name, "high": high, "margin": worth.margin}

    # -- what for ------------------------------------------------------------------------------------------------

    def _targets(self) -> None:
        ask, wheel = self._interview, self._found.known.get("wheel")
        name = None
        if self._found.address("wheel") is not None:
            filters = list(wheel.state.filters) if wheel is not None else ["L", "R", "G", "B", "Ha"]
            name = ask.choice(
                "targets.filter", "the filter to begin with", [(each, "") for each in filters], filters[0]
            )
        exposure_s = ask.required_number("targets.exposure_s", "length of the first exposures, s", 0.1, 3600, 60)
        count = round(ask.required_number("targets.count", "how many of each object", 1, 1000, 20))
        self.draft.wish = Wish(name, exposure_s, count)

    # -- the end -------------------------------------------------------------------------------------------------

    def _checked(self, folder: Path, load: Load) -> Loaded:
        """The draft, as `astrod config check` reads it. Raises ConfigInvalid."""
        draft = self.draft
        if not draft.roof:
            draft.site["roof"] = NONE
        elif not draft.weather:
            draft.site["weather"] = NONE
        with tempfile.TemporaryDirectory(prefix="astrod-commission-") as name:
            draft.write(Path(name))
            try:
                return load(Path(name))
            except ConfigInvalid:
                self._interview.tell(f"this does not pass, and is not written:\n\n{draft.text(folder)}")
                raise

    def _tell_what_to_do_next(self, folder: Path, loaded: Loaded) -> None:
        tell, at = self._interview.tell, f"astrod --config {folder}"
        for note in loaded.notes:
            tell(f"note: {note}")
        for found in sight(loaded.site).diagnoses:
            tell(f"{found.code} {found.text}: {found.cure}")
        tell("\nBy daylight:")
        tell(f"  {at} config check -v     reads it again")
        tell(f"  {at} doctor              asks every device, moves nothing")
        tell(f"  {at} plan                what tonight would bring, once the daemon runs")
        tell("At dusk, beside the telescope:")
        tell(f"  {at} run                 the daemon; it opens and moves when safety gives leave")
        tell("Then each by hand, in this order; safety goes on over all of them:")
        verbs = ["slew RA DEC", "set-park", "expose 5 --loop"]
        verbs += ["focus", "backlash"] if self.draft.focuser else []
        verbs += ["polar-align"] if loaded.site.rigs[0].mount.kind == "equatorial" else []
        verbs += ["guide-calibrate"] if self.draft.guider else []
        for verb in (*verbs, "resume"):
            tell(f"  {at} {verb}")


def _glass(train: dict[str, Any]) -> dict[str, Any]:
    return {name: train[name] for name in ("wheel", "rotator", "cover") if name in train}


def _bad_servers(text: str) -> str | None:
    try:
        _servers(text)
    except ValueError:
        return f"write HOST:PORT, for instance localhost:{INDI_PORT}, or {NONE}"
    return None


def _servers(text: str) -> list[tuple[str, int]]:
    """The hosts and ports of a list with commas. Raises ValueError."""
    found = []
    for word in [] if text == NONE else [each.strip() for each in text.split(",")]:
        host, mark, port = word.rpartition(":")
        if not mark:
            host, port = word, str(INDI_PORT)
        if not host or not 0 < int(port) < 65_536:
            raise ValueError(word)
        found.append((host, int(port)))
    return found


def _bad_device(word: str, offers: Sequence[Offered], kind: str) -> str | None:
    if word == NONE and kind not in NEEDED:
        return None
    if any(word in (offer.name, offer.address) for offer in offers):
        return None
    try:
        address = parse(word)
    except AddressInvalid as fault:
        return str(fault)
    if address.scheme == "sim" and str(address) != SIMULATED.get(kind, str(address)):
        return f"the simulated {kind} is {SIMULATED[kind]}"
    return None
