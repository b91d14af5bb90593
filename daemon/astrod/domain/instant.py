"""Instants: UTC as integer microseconds since 1970 (leap seconds not counted, as Unix does)."""

from datetime import UTC, datetime, timedelta

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
JD_OF_UNIX_EPOCH = 2440587.5

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_datetime(moment: datetime) -> int:
    """The instant of an aware datetime. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; an instant is UTC")
    delta = moment - _EPOCH
    return delta.days * DAY_US + delta.seconds * SECOND_US + delta.microseconds


def to_datetime(instant_us: int) -> datetime:
    """The instant as an aware UTC datetime, exact to the microsecond."""
    return _EPOCH + timedelta(microseconds=instant_us)


def iso(instant_us: int) -> str:
    """`2026-12-14T22:01:05.123Z`, to the millisecond."""
    return to_datetime(instant_us).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant_us % SECOND_US // 1000:03d}Z"


def parse_iso(text: str) -> int:
    """The instant of an ISO 8601 text; without a zone it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def clock_text(instant_us: int) -> str:
    """`22:01:05`, UTC."""
    return to_datetime(instant_us).strftime("%H:%M:%S")


def jd_utc(instant_us: int) -> float:
    """Julian date, UTC; good to about 40 microseconds."""
    return JD_OF_UNIX_EPOCH + instant_us / DAY_US
