-- Ends a membership, and gives back what it held. KEYS members, subscriptions, leases; ARGV member
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
local leases = redis.call('HGETALL', KEYS[3])
for i = 1, #leases, 2 do
  if leases[i + 1] == ARGV[1] then redis.call('HDEL', KEYS[3], leases[i]) end
end
