-- Times are seconds since 1970 (UTC), dates are local, powers are whole watts, energies whole watt-hours. NULL: not measured.
CREATE TABLE gateway (
    id INTEGER PRIMARY KEY,
    serial TEXT NOT NULL UNIQUE
);
-- Mean power and energy of a slot of 5 minutes, of which `seconds` were measured.
CREATE TABLE sample (
    gateway INTEGER NOT NULL REFERENCES gateway (id),
    start INTEGER NOT NULL,
    seconds INTEGER NOT NULL,
    production_w INTEGER,
    consumption_w INTEGER,
    grid_w INTEGER,
    storage_w INTEGER,
    production_wh INTEGER,
    consumption_wh INTEGER,
    import_wh INTEGER,
    export_wh INTEGER,
    charged_wh INTEGER,
    discharged_wh INTEGER,
    soc_percent REAL,
    estimated INTEGER NOT NULL,
    PRIMARY KEY (gateway, start)
) WITHOUT ROWID;
-- A counter, and the total up to which it is in the days.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    gateway INTEGER NOT NULL REFERENCES gateway (id),
    kind TEXT NOT NULL,
    device TEXT NOT NULL,
    quantity TEXT NOT NULL,
    total_wh INTEGER NOT NULL,
    counted_at INTEGER NOT NULL,
    UNIQUE (gateway, kind, device, quantity)
);
-- The energy of the site's counters on a local day, and the time that it covers. The devices have a table of their own, so
-- that ten years of the site are a small part of the file.
CREATE TABLE site_day (
    date TEXT NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id),
    wh INTEGER NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    PRIMARY KEY (date, series)
) WITHOUT ROWID;
-- The same for phases and inverters.
CREATE TABLE device_day (
    date TEXT NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id),
    wh INTEGER NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    PRIMARY KEY (date, series)
) WITHOUT ROWID;
-- For people with an SQLite tool.
CREATE VIEW day AS
    SELECT gateway.serial AS gateway, kind, device, quantity, date, wh,
           datetime(since, 'unixepoch') AS since_utc, datetime(until, 'unixepoch') AS until_utc, estimated
    FROM (SELECT * FROM site_day UNION ALL SELECT * FROM device_day) AS days
    JOIN series ON series.id = days.series
    JOIN gateway ON gateway.id = series.gateway;
