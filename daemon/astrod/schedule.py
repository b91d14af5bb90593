"""What comes next: keeps the plan fresh, and decides at each exposure.

The plan is made in a worker and is advice; `choose` takes it or leaves it (`planning.current`). What a verdict
changes (a frame to be re-taken, a target refused) is told here, and a new plan is then made in the background
while the rig goes on with the old one.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from astrod.archive.rows import FrameRow
from astrod.domain.darkness import DarkTime
from astrod.domain.exposure import CONSEQUENCES, Intent
from astrod.domain.identity import night_of
from astrod.domain.instant import MINUTE_US, SECOND_US
from astrod.domain.plan import Choice, Plan, Progress, progress
from astrod.domain.site import Rig, Site
from astrod.domain.sphere import altitude_azimuth_deg
from astrod.domain.target import Target
from astrod.domain.watching import SkyCover
from astrod.errors import AstrodError
from astrod.health import Health
from astrod.journey import Outcome
from astrod.planning.current import Situation, Turn, needs_replan, next_exposure
from astrod.planning.problem import Outlook, Problem, RigState
from astrod.recording import Recording
from astrod.rig.flipping import SIDEREAL_S_PER_DEG
from astrod.runtime.clock import Clock
from astrod.runtime.offload import Cost, Offload
from astrod.runtime.trace import Trace

log = logging.getLogger(__name__)

LANE = "plan"
COST = Cost(modelled_s=1.5, deadline_s=60.0)
BAN_US = 20 * MINUTE_US
REPLAN_US = 2 * MINUTE_US
RETAKE_US = 10 * MINUTE_US
"""A frame to be taken again changes a plan by one exposure: it is made anew for that no more often than so."""
SOON_US = 30 * SECOND_US
DAWN_MARGIN_US = 10 * SECOND_US
FLIP_S = 30.0
CLOUDED = 0.7
"""A target in a direction with this probability of cloud waits while another stands free."""
COVER_US = 5 * MINUTE_US
"""Clouds move on: an older map says nothing of now."""


def plan_night(problem: Problem, outlook: Outlook | None, former: Plan) -> tuple[Plan, Outlook]:
    """In the worker: the plan and what it was made under. Imported there, so that this process stays small."""
    from astrod.planning.sky import foresee
    from astrod.planning.solve import make_plan

    seen = foresee(problem) if outlook is None else outlook
    return make_plan(problem, seen, former), seen


def rig_state(rig: Rig) -> RigState:
    """A rig's overheads, as the planner wants them, from its configuration."""
    return RigState(
        name=rig.name,
        trains=tuple(train.name for train in rig.trains),
        mount=rig.mount.kind,
        readout_s=max(train.camera.readout_s for train in rig.trains),
        settle_s=rig.mount.settle_s,
        flip_s=FLIP_S if rig.mount.kind == "equatorial" else 0.0,
        past_meridian_s=rig.mount.track_past_meridian_deg * SIDEREAL_S_PER_DEG,
    )


def _tell(replanning: asyncio.Task[None]) -> None:
    """A planner that breaks costs a plan, never the night: dispatch goes on. It is told all the same."""
    if not replanning.cancelled() and replanning.exception() is not None:
        log.critical("planning broke; frames are chosen by dispatch", exc_info=replanning.exception())


def remembered(
    rows: Sequence[FrameRow], retakes_max: int
) -> tuple[dict[str, deque[str]], dict[str, int], dict[str, int]]:
    """What a restart would forget of a night, from its exposures in order: which rejected ones wait to be taken
    again (by request), how many repeats led to each exposure, and how many were given up (by request).
    """
    waiting: dict[str, deque[str]] = {}
    attempts: dict[str, int] = {}
    given_up: dict[str, int] = {}
    for row in rows:
        intent, request = row.intent, row.intent.request
        if intent.kind != "light" or request is None:
            continue
        brought = row.taken is not None or row.quarantine_path is not None
        line = waiting.setdefault(request, deque())
        if brought and intent.retake_of is not None:
            attempts[str(row.id)] = attempts.get(intent.retake_of, 0) + 1
            if intent.retake_of in line:
                line.remove(intent.retake_of)
        if not brought or row.kept or (row.judgement is None and row.quarantine_path is None):
            continue
        once = row.judgement is not None and CONSEQUENCES[row.judgement.cause][1] == "retake_once"
        if once and attempts.get(str(row.id), 0) >= retakes_max:
            given_up[request] = given_up.get(request, 0) + 1
        else:
            line.append(str(row.id))
    return {request: line for request, line in waiting.items() if line}, attempts, given_up


class Schedule:
    """The plan of one site's night and the state of its requests."""

    def __init__(
        self,
        site: Site,
        targets: Sequence[Target],
        offload: Offload,
        recording: Recording,
        health: Health,
        trace: Trace,
        clock: Clock,
        work: float = 0.5,
        retakes_max: int = 1,
    ) -> None:
        self._site, self._offload, self._recording = site, offload, recording
        self._health, self._trace, self._clock, self._work = health, trace, clock, work
        self.targets = tuple(targets)
        self._retakes_max = retakes_max
        self._rigs = {rig.name: rig_state(rig) for rig in site.rigs}
        self._kept: dict[str, int] = {}
        self._pending: dict[str, int] = {}
        self._given_up: dict[str, int] = {}
        self._retakes: dict[str, deque[str]] = {}
        self._attempts: dict[str, int] = {}
        self._remembers = False
        self._lengths_s: dict[str, float] = {}
        self._banned: dict[tuple[str, str], tuple[int, str]] = {}
        self._covers: dict[str, SkyCover] = {}
        self._kept_since_plan: dict[str, int] = {}
        self._dark = DarkTime(0, 0, 0)
        self._replanning: asyncio.Task[None] | None = None
        self._refreshed_us = 0
        self._revision = 0
        self.plan = Plan(clock.now_us(), "dispatch", ())
        self.outlook: Outlook | None = None
        self.idle_because = "no plan yet"

    # -- the plan --------------------------------------------------------------------------------------------

    async def begin_night(self, dark: DarkTime) -> None:
        """Take up a night: what was kept before counts, and a first plan is begun."""
        self._dark, self.outlook = dark, None
        self._banned.clear()
        self._lengths_s.clear()
        self._given_up.clear()
        self._kept = dict(await self._recording(lambda archive: archive.kept_counts()))
        if not self._remembers:
            self._remembers = True
            night = night_of(dark.dusk_us, self._site.place.longitude_deg)
            rows = await self._recording(lambda archive: archive.frames(night))
            self._retakes, self._attempts, self._given_up = remembered(rows, self._retakes_max)
            former = await self._recording(lambda archive: archive.latest_plan())
            if former is not None and dark.prepare_us <= former.made_us <= self._clock.now_us():
                self.plan = former  # good enough until there is a new one: exposing goes on at once
        if dark.dawn_us > self._clock.now_us():
            self.refresh("the night begins")

    def reload(self, targets: Sequence[Target], work: float, retakes_max: int) -> None:
        """The configuration was reloaded; the plan is made anew."""
        self.targets, self.outlook = tuple(targets), None
        self._lengths_s.clear()
        self._work, self._retakes_max = work, retakes_max
        self._revision += 1  # a plan that is being made knows the old targets only
        self.refresh("the configuration was reloaded")

    def refresh(self, reason: str) -> None:
        """Make a new plan in the background, unless one is being made."""
        if self._replanning is None or self._replanning.done():
            self._replanning = asyncio.create_task(self.replan(reason), name="replan")
            self._replanning.add_done_callback(_tell)

    def stop(self) -> None:
        """Make no more plans."""
        if self._replanning is not None:
            self._replanning.cancel()

    async def replan(self, reason: str) -> None:
        """Make a new plan now. A failure leaves the old plan, and dispatch, in force."""
        revision = self._revision
        problem, self._refreshed_us = self._problem(), self._clock.now_us()
        try:
            plan, outlook = await self._offload.run(LANE, COST, plan_night, problem, self.outlook, self.plan)
            await self._recording(lambda archive: archive.save_plan(plan))
        except (AstrodError, ValueError) as fault:
            self._health.found("AST-403", f"no new plan ({reason}): {fault}")
            return
        if revision != self._revision:
            await self.replan("the configuration was reloaded meanwhile")
            return
        self._health.mended("AST-403")
        self.plan, self.outlook = plan, outlook
        self._kept_since_plan = {}
        self._trace.note("plan", why=reason, by=plan.by, slots=len(plan.slots), capped=plan.capped)

    def _problem(self) -> Problem:
        return Problem(
            place=self._site.place,
            rigs=tuple(self._rigs.values()),
            targets=tuple(self._as_exposed(target) for target in self.targets),
            now_us=self._clock.now_us(),
            end_us=self._dark.dawn_us - DAWN_MARGIN_US,
            dusk_us=self._dark.dusk_us,
            remaining=self.remaining(),
            horizon=self._site.horizon,
            min_altitude_deg=self._site.min_altitude_deg,
            work=self._work,
        )

    def _as_exposed(self, target: Target) -> Target:
        """The target with its requests' exposures as long as they are under this sky."""
        if not any(request.id in self._lengths_s for request in target.requests):
            return target
        requests = (replace(r, exposure_s=self._lengths_s.get(r.id, r.exposure_s)) for r in target.requests)
        return replace(target, requests=tuple(requests))

    # -- the decision ----------------------------------------------------------------------------------------

    def choose(self, rig: str) -> Choice | None:
        """What a rig should expose now; None, and `idle_because`, when there is nothing."""
        now_us = self._clock.now_us()
        if self.outlook is None:
            if now_us - self._refreshed_us > REPLAN_US:
                self.refresh("there is none")
            self.idle_because = "no plan yet"
            return self._by_former_plan(rig, now_us)
        situation = Situation(self._problem(), self.outlook, self._bans(rig, now_us))
        turn = self._under_clouds(situation, rig, now_us) or next_exposure(self.plan, situation, rig, now_us)
        reason = needs_replan(self.plan, situation, self._kept_since_plan, now_us)
        if reason is not None and now_us - self._refreshed_us > REPLAN_US:
            self.refresh(reason)
        if turn is None:
            self.idle_because = "no request can be observed now"
            return None
        if turn.leave_us - now_us > SOON_US:
            self.idle_because = f"waiting for {turn.choice.target}"
            return None
        return replace(turn.choice, exposure_s=self._asked_s(turn.choice.request))

    def _under_clouds(self, situation: Situation, rig: str, now_us: int) -> Turn | None:
        """What stands free of the clouds that a watch sees and can begin now; None where nothing does, or none is seen.

        A cloud map only sends a rig elsewhere: where every target seems covered, frames are taken and judge for it.
        """
        behind = self._behind_clouds(now_us)
        if not behind:
            return None
        free = replace(situation, banned={**behind, **situation.banned})
        turn = next_exposure(self.plan, free, rig, now_us)
        return turn if turn is not None and turn.leave_us - now_us <= SOON_US else None

    def _behind_clouds(self, now_us: int) -> dict[str, str]:
        """The targets that stand behind a cloud now, with how sure that is."""
        covers = [cover for cover in self._covers.values() if cover.clouds and now_us - cover.at_us <= COVER_US]
        found: dict[str, str] = {}
        for target in self.targets if covers else ():
            altitude_deg, azimuth_deg = altitude_azimuth_deg(
                target.ra_deg, target.dec_deg, now_us, self._site.place.latitude_deg, self._site.place.longitude_deg
            )
            clouds = [cloud for cover in covers if (cloud := cover.towards(azimuth_deg, altitude_deg)) is not None]
            if clouds and max(clouds) >= CLOUDED:
                found[target.name] = f"behind a cloud ({max(clouds):.0%})"
        return found

    async def covered(self, watch: str, cover: SkyCover) -> None:
        """A watch saw the clouds anew."""
        self._covers[watch] = cover

    def _asked_s(self, request_id: str) -> float:
        return next(r.exposure_s for target in self.targets for r in target.requests if r.id == request_id)

    @property
    def left_s(self) -> float:
        """The seconds until no exposure may be under way any more, at dawn."""
        return (self._dark.dawn_us - DAWN_MARGIN_US - self._clock.now_us()) / SECOND_US

    def first(self, rig: str) -> Choice | None:
        """What a rig will begin with at dusk, as far as is known now; None where nothing is, or it comes later."""
        if self.outlook is None:
            return None
        now_us = self._clock.now_us()
        situation = Situation(self._problem(), self.outlook, self._bans(rig, now_us))
        turn = next_exposure(self.plan, situation, rig, now_us)
        return turn.choice if turn is not None and turn.leave_us <= self._dark.dusk_us + SOON_US else None

    def _by_former_plan(self, rig: str, now_us: int) -> Choice | None:
        """What the plan from before a restart, or a reload, says of now; its slots keep every limit of the night."""
        remaining, bans = self.remaining(), self._bans(rig, now_us)
        for slot in self.plan.slots:
            target = next((target for target in self.targets if target.name == slot.target), None)
            request = next((r for r in target.requests if r.id == slot.request), None) if target else None
            if target is None or request is None or slot.rig != rig or {target.name, request.id} & bans.keys():
                continue
            fits = slot.start_us <= now_us and now_us + round(request.exposure_s * SECOND_US) <= slot.end_us
            if fits and remaining[request.id] > 0:
                return Choice(
                    rig=rig,
                    target=target.name,
                    request=request.id,
                    ra_deg=target.ra_deg,
                    dec_deg=target.dec_deg,
                    exposure_s=request.exposure_s,
                    why=f"the former plan says so until there is a new one: {slot.why}",
                    filter=request.filter,
                    binning=request.binning,
                    train=request.train,
                    exposure_min_s=request.exposure_min_s,
                    position_angle_deg=target.position_angle_deg,
                    adapt=request.adapt,
                    exposure_max_s=request.exposure_max_s,
                )
        return None

    def _bans(self, rig: str, now_us: int) -> dict[str, str]:
        self._banned = {key: ban for key, ban in self._banned.items() if ban[0] > now_us}
        return {name: why for (refuser, name), (_, why) in self._banned.items() if refuser == rig}

    # -- what happened ---------------------------------------------------------------------------------------

    def stands(self, rig: str, pointing: tuple[float, float] | None, filter_name: str | None) -> None:
        """Where a rig points now and its filter."""
        self._rigs[rig] = replace(self._rigs[rig], pointing=pointing, filter=filter_name)

    def lasts(self, request: str, exposure_s: float) -> None:
        """How long an exposure of a request is under this sky; plans reckon with it from now on."""
        self._lengths_s[request] = exposure_s

    def refuse(self, rig: str, target: str, why: str, for_s: float | None = None) -> None:
        """Have a rig leave a target, or one request by its id, alone for a while: twenty minutes unless told otherwise.

        The other rigs are free to take it: what one mount refuses, another may reach.
        """
        ban_us = BAN_US if for_s is None else round(for_s * SECOND_US)
        self._banned[rig, target] = (self._clock.now_us() + ban_us, why)
        self.refresh(f"{target} refused")

    def pardon(self, rig: str) -> None:
        """Let a rig try again what it refused: it was not the targets' fault."""
        self._banned = {key: ban for key, ban in self._banned.items() if key[0] != rig}

    def begun(self, intent: Intent) -> None:
        """An exposure of a request is under way."""
        if intent.request is not None:
            self._pending[intent.request] = self._pending.get(intent.request, 0) + 1
            if intent.retake_of is not None:
                waiting = self._retakes.get(intent.request)
                if waiting and intent.retake_of in waiting:  # two rigs may make up for one frame
                    waiting.remove(intent.retake_of)
                self._attempts[str(intent.id)] = self._attempts.get(intent.retake_of, 0) + 1

    def lost(self, intent: Intent) -> None:
        """It brought no frame; what it was to make up for still waits."""
        self._settle(intent)
        if intent.request is not None and intent.retake_of is not None:
            self._retakes.setdefault(intent.request, deque()).appendleft(intent.retake_of)

    def settled(self, outcome: Outcome) -> None:
        """Its frame was judged."""
        intent = outcome.intent
        self._settle(intent)
        if intent.request is None:
            return
        if outcome.kept:
            self._kept[intent.request] = self._kept.get(intent.request, 0) + 1
            self._kept_since_plan[intent.request] = self._kept_since_plan.get(intent.request, 0) + 1
        elif outcome.consequence == "retake_once" and self._attempts.get(str(intent.id), 0) >= self._retakes_max:
            self._given_up[intent.request] = self._given_up.get(intent.request, 0) + 1
        else:
            self._retakes.setdefault(intent.request, deque()).append(str(intent.id))
            if self._clock.now_us() - self._refreshed_us > RETAKE_US:
                self.refresh(f"{intent.id} must be taken again")

    def _settle(self, intent: Intent) -> None:
        if intent.request is not None:
            self._pending[intent.request] = max(0, self._pending.get(intent.request, 0) - 1)

    def retake_of(self, request: str) -> str | None:
        """The rejected exposure that the next one of this request makes up for."""
        waiting = self._retakes.get(request)
        return waiting[0] if waiting else None

    def remaining(self) -> dict[str, int]:
        """Frames still to be begun for each request: what is kept, under way or given up is not wanted."""
        return {
            request.id: max(
                0,
                request.count
                - self._kept.get(request.id, 0)
                - self._pending.get(request.id, 0)
                - self._given_up.get(request.id, 0),
            )
            for target in self.targets
            for request in target.requests
        }

    @property
    def kept(self) -> Mapping[str, int]:
        """Frames kept of each request, over all nights."""
        return self._kept

    def tally(self) -> dict[Progress, int]:
        """How many requests are done, partial, untouched."""
        counts: dict[Progress, int] = {"done": 0, "partial": 0, "untouched": 0}
        for target in self.targets:
            for request in target.requests:
                counts[progress(self._kept.get(request.id, 0), request.count)] += 1
        return counts
