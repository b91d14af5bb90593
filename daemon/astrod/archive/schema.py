"""The archive's tables, as numbered migrations. A migration that was released is never edited: add another.

Instants are UTC microseconds (`_us`), nights their ISO date, structured values JSON text.
"""

ARCHIVE_APPLICATION = 0x61737472
TELEMETRY_APPLICATION = 0x61737474

ARCHIVE: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE counters (
            site TEXT NOT NULL, night TEXT NOT NULL, last INTEGER NOT NULL CHECK (last BETWEEN 1 AND 99999),
            PRIMARY KEY (site, night)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE exposures (
            id TEXT PRIMARY KEY, site TEXT NOT NULL, night TEXT NOT NULL, counter INTEGER NOT NULL,
            kind TEXT NOT NULL, rig TEXT NOT NULL, train TEXT NOT NULL, exposure_s REAL NOT NULL,
            ra_deg REAL, dec_deg REAL, target TEXT, request TEXT, filter TEXT, binning INTEGER NOT NULL,
            retake_of TEXT REFERENCES exposures (id), begun_us INTEGER NOT NULL,
            outcome TEXT CHECK (outcome IN ('taken', 'seen', 'failed', 'aborted', 'interrupted')),
            reason TEXT, ended_us INTEGER,
            quarantine_path TEXT, quarantine_reason TEXT, quarantined_us INTEGER,
            UNIQUE (site, night, counter)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX exposures_by_night ON exposures (night, counter)",
        "CREATE INDEX exposures_by_request ON exposures (request) WHERE request IS NOT NULL",
        "CREATE INDEX exposures_unfinished ON exposures (id) WHERE outcome IS NULL",
        "CREATE INDEX exposures_by_retake ON exposures (retake_of) WHERE retake_of IS NOT NULL",
        """
        CREATE TABLE taken (
            id TEXT PRIMARY KEY REFERENCES exposures (id), path TEXT NOT NULL UNIQUE, sha256 TEXT NOT NULL,
            size_bytes INTEGER NOT NULL, started_us INTEGER NOT NULL, exposure_s REAL NOT NULL,
            recorded_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE judged (
            id TEXT PRIMARY KEY REFERENCES taken (id),
            stars INTEGER NOT NULL, background REAL, noise REAL, fwhm_px REAL, elongation REAL,
            saturated INTEGER NOT NULL,
            quality REAL NOT NULL, decision TEXT NOT NULL CHECK (decision IN ('keep', 'reject')),
            cause TEXT NOT NULL, issues TEXT NOT NULL, model TEXT NOT NULL, recorded_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE intervals (
            night TEXT NOT NULL, rig TEXT NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL,
            cause TEXT NOT NULL CHECK (cause IN ('observed', 'overhead', 'weather', 'fault', 'idle')),
            detail TEXT NOT NULL, CHECK (end_us >= start_us)
        ) STRICT
        """,
        "CREATE INDEX intervals_by_night ON intervals (night, start_us)",
        """
        CREATE TABLE events (
            number INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, kind TEXT NOT NULL,
            severity TEXT NOT NULL, text TEXT NOT NULL, data TEXT NOT NULL
        ) STRICT
        """,
        "CREATE INDEX events_by_time ON events (at_us, number)",
        """
        CREATE TABLE plans (
            number INTEGER PRIMARY KEY AUTOINCREMENT, made_us INTEGER NOT NULL, plan TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE holds (
            name TEXT PRIMARY KEY, who TEXT NOT NULL, since_us INTEGER NOT NULL, until_us INTEGER
        )
        STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE nights (
            night TEXT PRIMARY KEY, opened_us INTEGER NOT NULL, closed_us INTEGER, summary TEXT
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (  # what decides which calibration frames serve an exposure
        "ALTER TABLE exposures ADD COLUMN gain REAL",
        'ALTER TABLE exposures ADD COLUMN "offset" REAL',
        "ALTER TABLE exposures ADD COLUMN temperature_c REAL",
        "ALTER TABLE exposures ADD COLUMN rotation_deg REAL",
        "CREATE INDEX exposures_by_kind ON exposures (kind, begun_us)",
    ),
    (
        """
        CREATE TABLE digests (
            id TEXT PRIMARY KEY REFERENCES exposures (id), digest TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE commands (
            number INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, what TEXT NOT NULL,
            at_us INTEGER NOT NULL, outcome TEXT, ended_us INTEGER
        ) STRICT
        """,
        "CREATE INDEX commands_unfinished ON commands (number) WHERE outcome IS NULL",
    ),
    (  # where focus was found, through which filter: what their offsets are learned from
        """
        CREATE TABLE focus_points (
            number INTEGER PRIMARY KEY AUTOINCREMENT, rig TEXT NOT NULL, train TEXT NOT NULL,
            filter TEXT NOT NULL, position INTEGER NOT NULL, temperature_c REAL, at_us INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX focus_points_by_train ON focus_points (rig, train, number)",
        # how well the mount was guided while an exposure ran
        """
        CREATE TABLE guided (
            id TEXT PRIMARY KEY REFERENCES exposures (id), rms_ra_arcsec REAL NOT NULL, rms_dec_arcsec REAL NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (  # what models learn from: the numbers they were shown, the verdicts of a candidate, the owner's word
        """
        CREATE TABLE shown (
            id TEXT PRIMARY KEY REFERENCES judged (id), features TEXT NOT NULL, recorded_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX shown_by_time ON shown (recorded_us)",
        """
        CREATE TABLE shadowed (
            id TEXT NOT NULL REFERENCES judged (id), version TEXT NOT NULL, quality REAL NOT NULL,
            decision TEXT NOT NULL CHECK (decision IN ('keep', 'reject')), cause TEXT NOT NULL, issues TEXT NOT NULL,
            model TEXT NOT NULL, recorded_us INTEGER NOT NULL,
            PRIMARY KEY (id, version)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX shadowed_by_version ON shadowed (version, recorded_us)",
        """
        CREATE TABLE thumbs (
            id TEXT PRIMARY KEY REFERENCES exposures (id), up INTEGER NOT NULL CHECK (up IN (0, 1)), cause TEXT,
            who TEXT NOT NULL, at_us INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (  # what crossed the sky, as a watch saw it
        """
        CREATE TABLE detections (
            number INTEGER PRIMARY KEY AUTOINCREMENT, watch TEXT NOT NULL, at_us INTEGER NOT NULL,
            kind TEXT NOT NULL, score REAL NOT NULL, points TEXT NOT NULL, begins TEXT, ends TEXT,
            model TEXT NOT NULL, picture TEXT
        ) STRICT
        """,
        "CREATE INDEX detections_by_time ON detections (at_us, number)",
    ),
)

TELEMETRY: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE readings (
            device TEXT NOT NULL, name TEXT NOT NULL, at_us INTEGER NOT NULL, value REAL NOT NULL,
            PRIMARY KEY (device, name, at_us)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX readings_by_time ON readings (at_us)",
        """
        CREATE TABLE newest (
            device TEXT NOT NULL, name TEXT NOT NULL, at_us INTEGER NOT NULL, value REAL NOT NULL,
            PRIMARY KEY (device, name)
        ) STRICT, WITHOUT ROWID
        """,
    ),
)
