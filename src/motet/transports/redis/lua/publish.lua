-- Appends to partitions of one topic, or to none; returns nothing, or the topic that is unknown.
-- KEYS topics, news, streams; ARGV number of topics, topics, as for append
local missing, n = unknown(KEYS[1], 1)
if missing then return missing end
local refused = refusal(3)
if refused then return refused end
append(3, n)
redis.call('INCR', KEYS[2])
