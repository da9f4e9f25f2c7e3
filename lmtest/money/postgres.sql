-- Amounts are picodollars (10**-12 USD), times microseconds since 1970 UTC. Text that repeats is kept once, in label,
-- so that a million calls group by integers; none is ever taken away, so nothing checks with each call that it is there.
-- The view "calls" is for people.

CREATE SCHEMA lmtest;

CREATE TABLE version (version BIGINT NOT NULL);

CREATE TABLE label (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

CREATE TABLE call (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time BIGINT NOT NULL,
    day BIGINT NOT NULL GENERATED ALWAYS AS (time / 86400000000) STORED,
    run BIGINT,
    test BIGINT,
    cassette BIGINT,
    execution TEXT,
    model BIGINT NOT NULL,
    provider BIGINT,
    mode BIGINT NOT NULL,
    hit BIGINT NOT NULL,
    outcome BIGINT NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    total_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    reasoning_tokens BIGINT,
    input_audio_tokens BIGINT,
    output_audio_tokens BIGINT,
    cost BIGINT,
    would_cost BIGINT,
    dspy_cost BIGINT,
    price_version BIGINT,
    key TEXT,
    latency DOUBLE PRECISION,
    claim TEXT
);

-- A call that was let through is entered once, however often it is tried.
CREATE UNIQUE INDEX call_by_claim ON call (claim) WHERE claim IS NOT NULL;

-- All that a report asks for, so that it reads a quarter of the table, in order of time, so that a call is added at one
-- end; an index for each grouping would be written to in five places.
CREATE INDEX call_by_time ON call (time, day, hit, run, test, cassette, model, cost, would_cost);

-- The last replay of each recording whose price is known, else its last replay: what a refresh would cost.
CREATE TABLE recording (
    cassette BIGINT NOT NULL,
    key TEXT NOT NULL,
    time BIGINT NOT NULL,
    call BIGINT NOT NULL,
    would_cost BIGINT,
    PRIMARY KEY (cassette, key)
);

-- What live calls cost in a month, a run and a test of a run; model '' is all models together. Kept by each append, so
-- that a budget asks one row and not a month of calls.
CREATE TABLE spend (
    period TEXT NOT NULL,
    model TEXT NOT NULL,
    usd BIGINT NOT NULL,
    PRIMARY KEY (period, model)
);

-- Calls that were let through and are not settled yet. Expires in nanoseconds since 1970, when it is settled for whoever
-- opened it; usd is its worst case, and row is what is entered then, as JSON. Holds is what it holds of each limit that
-- holds it, as JSON: a place, or picodollars. Whoever comes next reads them all, which are few, and adds up.
CREATE TABLE under_way (
    id TEXT PRIMARY KEY,
    expires BIGINT NOT NULL,
    usd BIGINT,
    row TEXT NOT NULL,
    holds TEXT NOT NULL
);

-- Calls that wait, one row for each limit that has no room for them, in order of their tickets. The weight is what they
-- will take of a rate, in nanoseconds of its time.
CREATE TABLE waiting (
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    ticket BIGINT NOT NULL,
    weight BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (name, id)
);

-- Generic cell rate: when the next permit would be due if all came evenly, and when a provider said to wait, and until
-- when. Nanoseconds since 1970.
CREATE TABLE rate (
    name TEXT PRIMARY KEY,
    due BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL DEFAULT 0,
    blocked_since BIGINT NOT NULL DEFAULT 0
);

CREATE VIEW calls AS
SELECT
    call.id,
    to_timestamp(time / 1000000.0) AS time,
    (SELECT text FROM label WHERE label.id = run) AS run,
    (SELECT text FROM label WHERE label.id = test) AS test,
    (SELECT text FROM label WHERE label.id = cassette) AS cassette,
    execution,
    (SELECT text FROM label WHERE label.id = model) AS model,
    (SELECT text FROM label WHERE label.id = provider) AS provider,
    (SELECT text FROM label WHERE label.id = mode) AS mode,
    (SELECT text FROM label WHERE label.id = hit) AS hit,
    (SELECT text FROM label WHERE label.id = outcome) AS outcome,
    input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
    input_audio_tokens, output_audio_tokens,
    cost / 1e12 AS cost_usd,
    would_cost / 1e12 AS would_cost_usd,
    dspy_cost / 1e12 AS dspy_cost_usd,
    (SELECT text FROM label WHERE label.id = price_version) AS price_version,
    key,
    latency
FROM call;
