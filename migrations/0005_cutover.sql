-- How far the cut-over of an e-mail domain has come. No row: everybody. Whether a domain is switched off stands in
-- `switches`.

CREATE TABLE cut_overs (
    domain TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL
);

-- What a cut-over does to people, summed by day (days since the Unix epoch, UTC). No domain: ''.

CREATE TABLE ledger (
    app TEXT NOT NULL,
    domain TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    day BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (app, domain, kind, reason, day)
);
CREATE INDEX ledger_by_domain ON ledger (domain, day);
CREATE INDEX ledger_by_age ON ledger (day);
