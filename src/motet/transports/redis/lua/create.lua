-- Makes a topic, or changes its settings; returns the number of partitions that it has.
-- KEYS topics; ARGV topic, partitions, settings as JSON, '1': keep what is there
local was = redis.call('HGET', KEYS[1], ARGV[1])
if was then
  local partitions = cjson.decode(was).partitions
  if ARGV[4] == '1' or partitions ~= tonumber(ARGV[2]) then return partitions end
end
if was ~= ARGV[3] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return tonumber(ARGV[2])
