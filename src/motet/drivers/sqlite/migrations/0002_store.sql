-- The store: progress, parked records, state, streams, outbox, dead letters.
-- agent_events, outbox_events, dead_letter_queue and dlq_metrics have the names and columns of
-- the article; columns of ours come after its own.

CREATE TABLE progress (
  grp TEXT NOT NULL,
  topic TEXT NOT NULL,
  part INTEGER NOT NULL,
  next INTEGER NOT NULL,             -- every offset below is done
  version INTEGER NOT NULL,          -- raised by each commit and each redrive
  ahead TEXT NOT NULL DEFAULT '[]',  -- offsets done at or above next, a JSON array
  PRIMARY KEY (grp, topic, part)
) WITHOUT ROWID;

CREATE TABLE parked (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  grp TEXT NOT NULL,
  topic TEXT NOT NULL,
  part INTEGER NOT NULL,
  key TEXT NOT NULL,
  "offset" INTEGER NOT NULL,
  attempt INTEGER NOT NULL,          -- the number of the next try
  due_us INTEGER NOT NULL,
  event TEXT NOT NULL,               -- JSON
  error_info TEXT,                   -- JSON; NULL: waits behind another
  first_failed_us INTEGER NOT NULL
);
CREATE INDEX idx_parked_key ON parked (grp, topic, part, key, id, due_us);

CREATE TABLE state (
  namespace TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT,                        -- NULL: removed; kept a while so that versions never repeat
  version INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  PRIMARY KEY (namespace, key)
) WITHOUT ROWID;
CREATE INDEX idx_state_removed ON state (updated_us) WHERE value IS NULL;

CREATE TABLE agent_events (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL DEFAULT (
    lower(format('%s-%s-4%s-8%s-%s', hex(randomblob(4)), hex(randomblob(2)),
      substr(hex(randomblob(2)), 2), substr(hex(randomblob(2)), 2), hex(randomblob(6))))
  ),
  event_type TEXT NOT NULL,
  event_version INTEGER DEFAULT 1,
  session_id TEXT NOT NULL,          -- the stream
  event_sequence INTEGER NOT NULL,   -- the version of the stream
  payload TEXT NOT NULL,             -- JSON
  metadata TEXT DEFAULT '{}',        -- JSON
  correlation_id TEXT,
  causation_id TEXT,
  created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  processed BOOLEAN DEFAULT FALSE,
  event_time TEXT,
  event_key TEXT,
  source TEXT,
  event_schema TEXT,
  event_references TEXT,
  CONSTRAINT unique_session_sequence UNIQUE (session_id, event_sequence)
);
CREATE INDEX idx_agent_events_id ON agent_events (event_id);
CREATE INDEX idx_agent_events_type ON agent_events (event_type);
CREATE INDEX idx_agent_events_correlation ON agent_events (correlation_id);
CREATE INDEX idx_agent_events_created ON agent_events (created_at);

CREATE TABLE outbox_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  event_topic TEXT NOT NULL,
  event_key TEXT,
  event_payload TEXT NOT NULL,       -- the event, JSON
  processed BOOLEAN NOT NULL DEFAULT FALSE,
  processed_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  not_before_us INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX idx_outbox_due ON outbox_events (not_before_us, id) WHERE processed = FALSE;
CREATE INDEX idx_outbox_processed ON outbox_events (processed_at) WHERE processed = TRUE;

CREATE TABLE dead_letter_queue (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  dlq_id TEXT NOT NULL DEFAULT (
    lower(format('%s-%s-4%s-8%s-%s', hex(randomblob(4)), hex(randomblob(2)),
      substr(hex(randomblob(2)), 2), substr(hex(randomblob(2)), 2), hex(randomblob(6))))
  ),
  original_event TEXT NOT NULL,      -- JSON; {"base64": ...} when the bytes are no JSON
  error_info TEXT NOT NULL,          -- JSON: code, message, stack, fingerprint
  retry_count INTEGER DEFAULT 0,
  created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  status TEXT DEFAULT 'NEW',         -- NEW, REVIEWED, RETRIED, ARCHIVED
  reviewed_by TEXT,
  reviewed_at TEXT,
  resolution_notes TEXT,
  topic TEXT NOT NULL DEFAULT '',
  part INTEGER NOT NULL DEFAULT -1,
  "offset" INTEGER NOT NULL DEFAULT -1,
  grp TEXT NOT NULL DEFAULT '',
  event_key TEXT NOT NULL DEFAULT '',
  event_type TEXT NOT NULL DEFAULT '',
  first_failed_us INTEGER NOT NULL DEFAULT 0,
  original_bytes BLOB                -- where original_event is not the very bytes
);
CREATE INDEX idx_dlq_status ON dead_letter_queue (status);
CREATE INDEX idx_dlq_created ON dead_letter_queue (created_at);

CREATE VIEW dlq_metrics AS
SELECT
  DATE(created_at) AS date,
  status,
  COUNT(*) AS count,
  error_info ->> 'code' AS error_code
FROM dead_letter_queue
GROUP BY DATE(created_at), status, error_info ->> 'code';
