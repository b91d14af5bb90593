"""The facts for a frame's header and for its gate, gathered from what the rig, the site and safety said."""

from collections.abc import Callable

from astrod.domain.instant import SECOND_US
from astrod.domain.safety import ClockQuality, SafetyReport
from astrod.domain.site import Rig, Site, Train
from astrod.domain.sphere import separation_deg
from astrod.frames.admission import Circumstances
from astrod.frames.header import FrameFacts
from astrod.rig.exposing import Exposed


def _setup(site: Site, exposed: Exposed) -> tuple[Rig, Train]:
    rig = next(rig for rig in site.rigs if rig.name == exposed.intent.rig)
    return rig, next(train for train in rig.trains if train.name == exposed.intent.train)


def _bayer(train: Train, exposed: Exposed) -> str | None:
    """The owner's word before the driver's; binned frames have no pattern left."""
    if exposed.intent.binning != 1 or train.camera.bayer == "mono":
        return None
    return train.camera.bayer or exposed.camera.bayer


def facts_of(
    site: Site, safety: Callable[[], SafetyReport], quality: Callable[[], ClockQuality], exposed: Exposed
) -> FrameFacts:
    """All that is known of an exposure."""
    rig, train = _setup(site, exposed)
    clock = quality()
    camera, focuser, setup = exposed.camera, exposed.focuser, train.camera
    return FrameFacts(
        intent=exposed.intent,
        place=site.place,
        started_us=exposed.raw.started_us,
        exposure_s=exposed.raw.exposure_s,
        site_title=site.title or site.name,
        started_error_us=exposed.raw.started_error_us,
        time_source=clock.source,
        time_error_us=clock.error_us,
        focal_length_mm=train.focal_length_mm,
        aperture_mm=train.aperture_mm,
        telescope=f"{rig.name} {train.name}",
        camera=camera.name,
        pixel_um=camera.pixel_um,
        bayer=_bayer(train, exposed),
        gain=setup.gain,
        egain_e_per_adu=setup.egain_e_per_adu or camera.egain_e_per_adu,
        offset=setup.offset,
        saturation_adu=setup.saturation_adu,
        set_temperature_c=setup.cool_to_c,
        temperature_c=exposed.camera_state.temperature_c,
        pier_side=exposed.mount.pier_side,
        filter=exposed.intent.filter,
        ra_deg=exposed.mount.ra_deg,
        dec_deg=exposed.mount.dec_deg,
        focus_position=focuser.position if focuser else None,
        focus_temperature_c=focuser.temperature_c if focuser else None,
        rotator_deg=exposed.rotator_deg,
        guide_rms_ra_arcsec=exposed.guided.rms_ra_arcsec if exposed.guided else None,
        guide_rms_dec_arcsec=exposed.guided.rms_dec_arcsec if exposed.guided else None,
        weather=dict(safety().weather or {}),
    )


OpenThroughout = Callable[[int, int], bool | None]
"""Whether the roof was open from one instant to another; None where there is none or nobody knows."""


def circumstances_of(site: Site, roof: OpenThroughout, exposed: Exposed, recent: tuple[str, ...]) -> Circumstances:
    """What the validity gate asks of a frame. Test and focus frames have no target to be on."""
    rig, _ = _setup(site, exposed)
    intent, mount, pointing, began = exposed.intent, exposed.mount, exposed.pointing, exposed.began
    off_arcmin = pointing.off_arcmin
    if intent.ra_deg is not None and intent.dec_deg is not None:
        first = 60.0 * separation_deg(intent.ra_deg, intent.dec_deg, mount.ra_deg, mount.dec_deg)
        off_arcmin = first if off_arcmin is None else max(first, off_arcmin)
    ended_us = exposed.raw.started_us + round(exposed.raw.exposure_s * SECOND_US)
    return Circumstances(
        width_px=exposed.camera.width_px // intent.binning,
        height_px=exposed.camera.height_px // intent.binning,
        asked_us=exposed.asked_us,
        arrived_us=exposed.arrived_us,
        roof_open=roof(exposed.raw.started_us, ended_us),
        off_target_arcmin=off_arcmin,
        on_target_arcmin=rig.mount.on_target_arcmin,
        recent=recent,
        tracked=pointing.tracked if intent.kind == "light" else None,
        filter_seen=exposed.filter,
        before_c=began.temperature_c if began else None,
        cooled_before=began.cooler_on if began else False,
        cooled_after=exposed.camera_state.cooler_on,
    )
