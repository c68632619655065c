-- +goose Up

-- What others say.
CREATE TABLE estate (
    id           TEXT PRIMARY KEY,
    fee_category TEXT NOT NULL, -- budget line that payments feed
    unreadable   BIGINT NOT NULL -- 1: not all of its payments can be opened
);
CREATE TABLE unit (
    id      TEXT PRIMARY KEY,
    estate  TEXT NOT NULL,
    code    TEXT NOT NULL,
    purpose TEXT NOT NULL, -- 住宅, 商铺, 车位
    area    BIGINT NOT NULL, -- 0.01 ㎡
    titles  TEXT NOT NULL -- JSON: day since when, by person
);
CREATE UNIQUE INDEX unit_code ON unit (estate, code);
CREATE TABLE title (
    unit   TEXT NOT NULL, -- id
    person TEXT NOT NULL,
    since  TEXT NOT NULL, -- day from which the person sees the unit's money; '': always
    PRIMARY KEY (unit, person)
);
CREATE INDEX title_person ON title (person);
CREATE TABLE agreement (
    id     TEXT PRIMARY KEY,
    estate TEXT NOT NULL,
    starts TEXT NOT NULL,
    ends   TEXT NOT NULL, -- last day, of the term or the day it was ended
    active BIGINT NOT NULL, -- 1: it came into force
    rates  TEXT NOT NULL -- JSON
);
CREATE INDEX agreement_estate ON agreement (estate);

-- What is public.
CREATE TABLE budget (
    estate TEXT NOT NULL,
    year   BIGINT NOT NULL,
    lines  TEXT NOT NULL, -- JSON
    PRIMARY KEY (estate, year)
);
CREATE TABLE closed (
    estate TEXT NOT NULL,
    period TEXT NOT NULL,
    PRIMARY KEY (estate, period)
);
CREATE TABLE entry (
    id           TEXT PRIMARY KEY,
    estate       TEXT NOT NULL,
    kind         TEXT NOT NULL, -- voucher, reversal, collection, opening, suspense
    number       TEXT NOT NULL,
    voucher      TEXT NOT NULL, -- id
    day          TEXT NOT NULL,
    month        TEXT NOT NULL,
    direction    TEXT NOT NULL, -- 收入, 支出; '' for opening and suspense
    category     TEXT NOT NULL, -- '' for collection: the estate's setting says which
    amount       BIGINT NOT NULL, -- fen; of a reversal as taken back
    payments     BIGINT NOT NULL, -- how many, for collection
    words        TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    attachment   TEXT NOT NULL, -- SHA-256
    corrects     TEXT NOT NULL, -- number
    reverses     TEXT NOT NULL, -- number
    reversed_by  TEXT NOT NULL, -- number
    refused      TEXT NOT NULL -- why it does not count; '': it counts
);
CREATE INDEX entry_estate ON entry (estate, day, number, id);
CREATE INDEX entry_reversal ON entry (estate, number) WHERE kind = 'reversal';
CREATE INDEX entry_attachment ON entry (estate, attachment) WHERE attachment <> '';
CREATE TABLE posted (
    estate   TEXT NOT NULL,
    day      TEXT NOT NULL,
    periods  TEXT NOT NULL, -- JSON, as posted last
    suspense BIGINT NOT NULL, -- fen
    PRIMARY KEY (estate, day)
);
CREATE TABLE posted_total (
    estate   TEXT NOT NULL,
    period   TEXT NOT NULL,
    day      TEXT NOT NULL,
    amount   BIGINT NOT NULL, -- fen
    payments BIGINT NOT NULL,
    PRIMARY KEY (estate, period, day)
);
CREATE TABLE bills (
    estate    TEXT NOT NULL,
    period    TEXT NOT NULL,
    agreement TEXT NOT NULL,
    units     BIGINT NOT NULL,
    total     BIGINT NOT NULL, -- fen
    hash      TEXT NOT NULL, -- of the blob
    PRIMARY KEY (estate, period)
);
CREATE TABLE bill (
    estate TEXT NOT NULL,
    unit   TEXT NOT NULL, -- code
    period TEXT NOT NULL,
    amount BIGINT NOT NULL, -- fen
    PRIMARY KEY (estate, unit, period)
);

-- What is sealed in the ledger. A payment is its movements: received, out of
-- suspense and into a month, paid back.
CREATE TABLE payment (
    id        TEXT NOT NULL,
    n         BIGINT NOT NULL, -- order of its movements
    estate    TEXT NOT NULL,
    stream    TEXT NOT NULL, -- of its reference, without the prefix
    kind      TEXT NOT NULL, -- received, released, attributed, refunded
    reference TEXT NOT NULL,
    unit      TEXT NOT NULL, -- code
    period    TEXT NOT NULL,
    day       TEXT NOT NULL, -- on which it counts
    amount    BIGINT NOT NULL, -- fen
    channel   TEXT NOT NULL,
    suspense  BIGINT NOT NULL, -- 1: it counts as held
    shared    BIGINT NOT NULL, -- 1: another came under this reference before
    PRIMARY KEY (id, n)
);
CREATE INDEX payment_unit ON payment (estate, unit, period);
CREATE INDEX payment_attributed ON payment (estate) WHERE kind = 'attributed';
CREATE TABLE held (
    id     TEXT PRIMARY KEY,
    estate TEXT NOT NULL,
    day    TEXT NOT NULL -- on which it counts as received
);
CREATE INDEX held_estate ON held (estate);
CREATE TABLE received (
    estate   TEXT NOT NULL,
    day      TEXT NOT NULL,
    suspense BIGINT NOT NULL, -- 1: held
    period   TEXT NOT NULL, -- month paid for; '' where it is held
    amount   BIGINT NOT NULL, -- fen, sum of the day's movements
    payments BIGINT NOT NULL, -- received or attributed
    PRIMARY KEY (estate, day, suspense, period)
);
