-- Takes partitions that nobody holds; returns those taken. KEYS members, leases
-- ARGV member, partitions
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {} end
local taken = {}
for i = 2, #ARGV do
  local holder = redis.call('HGET', KEYS[2], ARGV[i])
  if not holder or not redis.call('ZSCORE', KEYS[1], holder) then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[1])
    taken[#taken + 1] = ARGV[i]
  end
end
return taken
