-- Shows a group to a member, and keeps it alive where ARGV[2], its session in us, is not 0.
-- Who has not been heard of for longer than its session is no member any more.
-- Returns nothing to who is none; else subscriptions, leases, topics.
-- KEYS members, subscriptions, leases, topics; ARGV member, session in us
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return nil end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if ARGV[2] ~= '0' then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
end
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now))
local gone = {}
for _, member in ipairs(dead) do
  if member ~= ARGV[1] then
    redis.call('ZREM', KEYS[1], member)
    redis.call('HDEL', KEYS[2], member)
    gone[member] = true
  end
end
local leases = redis.call('HGETALL', KEYS[3])
if next(gone) then
  for i = 1, #leases, 2 do
    if gone[leases[i + 1]] then redis.call('HDEL', KEYS[3], leases[i]) end
  end
  leases = redis.call('HGETALL', KEYS[3])
end
return { redis.call('HGETALL', KEYS[2]), leases, redis.call('HGETALL', KEYS[4]) }
