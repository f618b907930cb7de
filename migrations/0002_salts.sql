-- Random keys of keyed hashes that must come out the same in every process and after every restart and key rotation:
-- whose turn it is in a cut-over by percentage, when an adopted session ends, which name a native credential had.

CREATE TABLE salts (
    purpose TEXT NOT NULL PRIMARY KEY,
    salt {BYTES} NOT NULL
);
