-- What is known of the applications' own credentials: who uses them, and which of their session cookies came of a sign-in
-- with one. Never a secret: opaque keys and cookies are keyed hashes (salts, purpose 'native').

CREATE TABLE native_identities (
    app TEXT NOT NULL,
    kind TEXT NOT NULL,
    name_key TEXT NOT NULL,
    name TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    source TEXT NOT NULL,
    email_shaped BIGINT NOT NULL,
    PRIMARY KEY (app, kind, name_key)
);
CREATE INDEX native_identities_by_use ON native_identities (last_seen);

CREATE TABLE native_cookies (
    cookie_key {BYTES} NOT NULL PRIMARY KEY,
    app TEXT NOT NULL,
    cookie_name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    person TEXT,
    last_used BIGINT NOT NULL,
    good_until BIGINT NOT NULL
);
CREATE INDEX native_cookies_by_use ON native_cookies (last_used);
CREATE INDEX native_cookies_by_end ON native_cookies (good_until);
