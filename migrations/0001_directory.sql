-- One text for both engines: {BYTES} and {IDENTITY} stand for what they call differently (src/directory/sql/migrations.rs).
-- A migration is never changed once it was released: databases remember its checksum. Times are milliseconds since the
-- Unix epoch. A `…_key` is a text, or its SHA-256 where it is too long for an index.

CREATE TABLE sessions (
    reference TEXT NOT NULL PRIMARY KEY,
    connector TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    provider_session_key TEXT,
    email TEXT NOT NULL,
    email_domain TEXT NOT NULL,
    identity TEXT NOT NULL,
    origin TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    renew_at BIGINT,
    secrets {BYTES},
    version BIGINT NOT NULL,
    born BIGINT NOT NULL,
    claimed_by TEXT,
    claimed_until BIGINT
);
CREATE INDEX sessions_by_subject ON sessions (connector, subject_key);
CREATE INDEX sessions_by_provider_session ON sessions (connector, provider_session_key);
CREATE INDEX sessions_by_email ON sessions (email);
CREATE INDEX sessions_by_domain ON sessions (email_domain);
CREATE INDEX sessions_by_age ON sessions (created_at);
CREATE INDEX sessions_by_use ON sessions (last_used);

CREATE TABLE session_cookies (
    cookie_key {BYTES} NOT NULL PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (reference) ON DELETE CASCADE,
    host TEXT NOT NULL
);
CREATE INDEX session_cookies_by_session ON session_cookies (session);

-- One row. Whoever numbers a change holds it until the commit, so numbers appear in their order and without gaps.
CREATE TABLE change_counter (number BIGINT NOT NULL);
INSERT INTO change_counter (number) VALUES (0);

CREATE TABLE changes (
    number BIGINT NOT NULL PRIMARY KEY,
    made_at BIGINT NOT NULL,
    change TEXT NOT NULL
);
CREATE INDEX changes_by_age ON changes (made_at);

CREATE TABLE epochs (
    scope TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    change TEXT NOT NULL
);
CREATE INDEX epochs_by_age ON epochs (made_at);

CREATE TABLE used_once (
    kind TEXT NOT NULL,
    id_key TEXT NOT NULL,
    good_until BIGINT NOT NULL,
    PRIMARY KEY (kind, id_key)
);
CREATE INDEX used_once_by_end ON used_once (good_until);

CREATE TABLE kept (
    kind TEXT NOT NULL,
    id_key TEXT NOT NULL,
    sealed {BYTES} NOT NULL,
    size BIGINT NOT NULL,
    good_until BIGINT NOT NULL,
    PRIMARY KEY (kind, id_key)
);
CREATE INDEX kept_by_end ON kept (good_until);

-- The sum of `kept.size` by kind, so that a bound costs no scan.
CREATE TABLE kept_bytes (
    kind TEXT NOT NULL PRIMARY KEY,
    bytes BIGINT NOT NULL
);

CREATE TABLE explanations (
    id {IDENTITY},
    reference_key TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX explanations_by_reference ON explanations (reference_key);
CREATE INDEX explanations_by_age ON explanations (made_at, id);

CREATE TABLE switches (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE key_ids (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    noted_at BIGINT NOT NULL
);
