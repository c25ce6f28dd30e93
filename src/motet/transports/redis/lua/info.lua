-- For each stream: oldest offset kept, next to be written, entries, bytes; all -1: not ours.
local out = {}
for k, key in ipairs(KEYS) do
  local first, past, count = place(key)
  if first then
    out[k] = { first, past, count, redis.call('MEMORY', 'USAGE', key) or 0 }
  else
    out[k] = { -1, -1, -1, -1 }
  end
end
return out
