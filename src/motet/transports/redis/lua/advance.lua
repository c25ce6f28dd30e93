-- Publishes what a step emits and notes progress, all or nothing.
-- Returns nothing; 0 where the lease is not held by who asks, 1 where progress is not where it was;
-- or the topic that is unknown.
-- KEYS topics, news, leases, progress, the partition's stream, streams of the emits
-- ARGV member, lease, group, index, progress, id below the next offset, next offset,
--      progress before or '', number of topics, topics, as for append
if redis.call('HGET', KEYS[3], ARGV[2]) ~= ARGV[1] then return 0 end
if (redis.call('HGET', KEYS[4], ARGV[4]) or '') ~= ARGV[8] then return 1 end
local missing, n = unknown(KEYS[1], 9)
if missing then return missing end
if #KEYS > 5 then
  local refused = refusal(6)
  if refused then return refused end
  append(6, n)
  redis.call('INCR', KEYS[2])
end
redis.call('HSET', KEYS[4], ARGV[4], ARGV[5])
local moved = redis.pcall('XGROUP', 'SETID', KEYS[5], ARGV[3], ARGV[6], 'ENTRIESREAD', ARGV[7])
if moved.err then
  redis.call('XGROUP', 'CREATE', KEYS[5], ARGV[3], ARGV[6], 'MKSTREAM', 'ENTRIESREAD', ARGV[7])
end
