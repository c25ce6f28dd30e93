-- The inbox: ids of events that a group has handled, where the log may have one more than once.

CREATE TABLE inbox (
  grp TEXT NOT NULL,
  topic TEXT NOT NULL,
  id TEXT NOT NULL,                  -- of the event
  handled_us INTEGER NOT NULL,
  PRIMARY KEY (grp, topic, id)
) WITHOUT ROWID;
CREATE INDEX idx_inbox_handled ON inbox (handled_us);
