-- People: who may sign in, what vouches for them, and what the applications call them.

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    -- 1: a connector vouched for the address, or the operator does.
    address_verified BIGINT NOT NULL,
    active BIGINT NOT NULL,
    -- 1: the address is free for another person.
    address_released BIGINT NOT NULL,
    source TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
-- Not unique: two of an application's users may have one address (A14).
CREATE INDEX users_by_address ON users (address);
CREATE INDEX users_by_age ON users (created_at, id);

CREATE TABLE identities (
    connector TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    PRIMARY KEY (connector, subject_key)
);
CREATE INDEX identities_by_user ON identities (user_id);

CREATE TABLE memberships (
    app TEXT NOT NULL,
    native_user_key TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    source TEXT NOT NULL,
    about TEXT NOT NULL,
    PRIMARY KEY (app, native_user_key)
);
CREATE INDEX memberships_by_user ON memberships (user_id);

-- Null in sessions that began before users were kept.
ALTER TABLE sessions ADD COLUMN user_id TEXT;
CREATE INDEX sessions_by_user ON sessions (user_id);
