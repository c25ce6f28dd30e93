-- Lets go of what is too old or too much, as far as every group of the stream has read it.
-- Marks say when the stream had which length: entry ids are offsets and hold no time.
-- KEYS stream, marks; ARGV retention in microseconds or '', entries to keep or 0, '1': read or not
local first, past = place(KEYS[1])
if not first then return 0 end
local floor = 0
if ARGV[1] == '' then
  redis.call('DEL', KEYS[2])
else
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local newest = redis.call('ZREVRANGE', KEYS[2], 0, 0)[1]
  local mark = string.format('%.0f', past)
  if newest ~= mark and past > first then
    redis.call('ZADD', KEYS[2], string.format('%.0f', now), mark)
  end
  local due = string.format('%.0f', now - tonumber(ARGV[1]))
  local old = redis.call('ZREVRANGEBYSCORE', KEYS[2], due, '-inf', 'LIMIT', 0, 1)[1]
  if old then floor = tonumber(old) end
end
if tonumber(ARGV[2]) > 0 then floor = math.max(floor, past - tonumber(ARGV[2])) end
if ARGV[3] ~= '1' and floor > first then
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = named(flat)
    floor = math.min(floor, after(group['last-delivered-id']) or 0)
    if group['pending'] > 0 then
      local oldest = redis.call('XPENDING', KEYS[1], group['name'])[2]
      floor = math.min(floor, (after(oldest) or 1) - 1)
    end
  end
end
if floor <= first then return 0 end
local gone = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #gone, 2 do
  if tonumber(gone[i]) <= floor then redis.call('ZREM', KEYS[2], gone[i]) end
end
return redis.call('XTRIM', KEYS[1], 'MINID', '=', '1-' .. string.format('%.0f', floor))
