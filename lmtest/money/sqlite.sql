-- Amounts are picodollars (10**-12 USD), times microseconds since 1970 UTC. Text that repeats is kept once, in label,
-- so that a million calls group by integers; none is ever taken away, so nothing checks with each call that it is there.
-- The view "calls" is for people.

CREATE TABLE label (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

CREATE TABLE call (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    day INTEGER NOT NULL GENERATED ALWAYS AS (time / 86400000000) STORED,
    run INTEGER,
    test INTEGER,
    cassette INTEGER,
    execution TEXT,
    model INTEGER NOT NULL,
    provider INTEGER,
    mode INTEGER NOT NULL,
    hit INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    total_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    input_audio_tokens INTEGER,
    output_audio_tokens INTEGER,
    cost INTEGER,
    would_cost INTEGER,
    dspy_cost INTEGER,
    price_version INTEGER,
    key TEXT,
    latency REAL,
    claim TEXT
);

-- A call that was let through is entered once, however often it is tried.
CREATE UNIQUE INDEX call_by_claim ON call (claim) WHERE claim IS NOT NULL;

-- All that a report asks for, so that it reads a quarter of the table, in order of time, so that a call is added at one
-- end; an index for each grouping would be written to in five places.
CREATE INDEX call_by_time ON call (time, day, hit, run, test, cassette, model, cost, would_cost);

-- The last replay of each recording whose price is known, else its last replay: what a refresh would cost.
CREATE TABLE recording (
    cassette INTEGER NOT NULL,
    key TEXT NOT NULL,
    time INTEGER NOT NULL,
    call INTEGER NOT NULL,
    would_cost INTEGER,
    PRIMARY KEY (cassette, key)
) WITHOUT ROWID;

-- What live calls cost in a month, a run and a test of a run; model '' is all models together. Kept by each append, so
-- that a budget asks one row and not a month of calls.
CREATE TABLE spend (
    period TEXT NOT NULL,
    model TEXT NOT NULL,
    usd INTEGER NOT NULL,
    PRIMARY KEY (period, model)
) WITHOUT ROWID;

-- Calls that were let through and are not settled yet. Expires in nanoseconds since 1970, when it is settled for whoever
-- opened it; usd is its worst case, and row is what is entered then, as JSON. Holds is what it holds of each limit that
-- holds it, as JSON: a place, or picodollars. Whoever comes next reads them all, which are few, and adds up.
CREATE TABLE under_way (
    id TEXT PRIMARY KEY,
    expires INTEGER NOT NULL,
    usd INTEGER,
    row TEXT NOT NULL,
    holds TEXT NOT NULL
) WITHOUT ROWID;

-- Calls that wait, one row for each limit that has no room for them, in order of their tickets. The weight is what they
-- will take of a rate, in nanoseconds of its time.
CREATE TABLE waiting (
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    ticket INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (name, id)
) WITHOUT ROWID;

-- Generic cell rate: when the next permit would be due if all came evenly, and when a provider said to wait, and until
-- when. Nanoseconds since 1970.
CREATE TABLE rate (
    name TEXT PRIMARY KEY,
    due INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL DEFAULT 0,
    blocked_since INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE VIEW calls AS
SELECT
    call.id,
    strftime('%Y-%m-%dT%H:%M:%fZ', time / 1000000.0, 'unixepoch') AS time,
    (SELECT text FROM label WHERE id = run) AS run,
    (SELECT text FROM label WHERE id = test) AS test,
    (SELECT text FROM label WHERE id = cassette) AS cassette,
    execution,
    (SELECT text FROM label WHERE id = model) AS model,
    (SELECT text FROM label WHERE id = provider) AS provider,
    (SELECT text FROM label WHERE id = mode) AS mode,
    (SELECT text FROM label WHERE id = hit) AS hit,
    (SELECT text FROM label WHERE id = outcome) AS outcome,
    input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    input_audio_tokens, output_audio_tokens,
    cost / 1e12 AS cost_usd,
    would_cost / 1e12 AS would_cost_usd,
    dspy_cost / 1e12 AS dspy_cost_usd,
    (SELECT text FROM label WHERE id = price_version) AS price_version,
    key,
    latency
FROM call;
