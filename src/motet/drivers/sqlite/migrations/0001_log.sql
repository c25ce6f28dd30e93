-- The log: topics, their partitions, and events in blocks.

CREATE TABLE topics (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  partitions INTEGER NOT NULL,
  retention_us INTEGER,              -- NULL: kept for ever
  created_us INTEGER NOT NULL
);

CREATE TABLE partitions (
  topic TEXT NOT NULL,
  part INTEGER NOT NULL,
  next INTEGER NOT NULL DEFAULT 0,   -- the offset of the next event
  start INTEGER NOT NULL DEFAULT 0,  -- the offset of the oldest event kept
  size_bytes INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (topic, part)
) WITHOUT ROWID;

-- One row holds the events appended to one partition together, as a JSON array (kind 0);
-- the event at index i has the offset first + i. Bytes that are no event have a row each (kind 1).
CREATE TABLE log (
  id INTEGER PRIMARY KEY,
  topic TEXT NOT NULL,
  part INTEGER NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL,
  appended_us INTEGER NOT NULL,
  kind INTEGER NOT NULL DEFAULT 0,
  body BLOB NOT NULL,
  UNIQUE (topic, part, first)
);

-- Which ids a topic's retained log holds: an event is in it once.
CREATE TABLE event_ids (
  topic INTEGER NOT NULL,            -- topics.id
  id TEXT NOT NULL,
  PRIMARY KEY (topic, id)
) WITHOUT ROWID;

-- The log one event a row, for people and their SQL.
CREATE VIEW events AS
SELECT
  l.topic AS topic,
  l.part AS "partition",
  l.first + e.key AS "offset",
  e.value ->> '$.eventId' AS event_id,
  e.value ->> '$.eventType' AS event_type,
  e.value ->> '$.key' AS event_key,
  e.value ->> '$.timestamp' AS "timestamp",
  e.value ->> '$.source' AS source,
  e.value ->> '$.correlationId' AS correlation_id,
  e.value ->> '$.causationId' AS causation_id,
  e.value -> '$.payload' AS payload,
  e.value AS event,
  strftime('%Y-%m-%dT%H:%M:%fZ', l.appended_us / 1e6, 'unixepoch') AS appended_at
FROM log AS l, json_each(
  CASE WHEN json_valid(CAST(l.body AS TEXT)) THEN CAST(l.body AS TEXT) ELSE '[]' END
) AS e
WHERE l.kind = 0;

-- Who reads: members of consumer groups, and the partitions they hold.
CREATE TABLE members (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  grp TEXT NOT NULL,
  topics TEXT NOT NULL,              -- JSON array
  slot INTEGER NOT NULL,             -- the byte of <file>-members its process keeps locked
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  joined_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL
);
CREATE INDEX idx_members_grp ON members (grp);

CREATE TABLE leases (
  grp TEXT NOT NULL,
  topic TEXT NOT NULL,
  part INTEGER NOT NULL,
  member INTEGER NOT NULL,
  PRIMARY KEY (grp, topic, part)
) WITHOUT ROWID;
