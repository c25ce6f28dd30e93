-- Which of several relays publishes what the outbox holds.

CREATE TABLE relay (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  owner TEXT NOT NULL,
  until_us INTEGER NOT NULL
);
