-- Shared by what appends. An entry's id is 1-<offset>: the server numbers them from 1-0 on.

-- The first of the topics ARGV[n + 1] .. that is not known; after them, where ARGV goes on.
local function unknown(topics, n)
  local count = tonumber(ARGV[n])
  for i = n + 1, n + count do
    if redis.call('HEXISTS', topics, ARGV[i]) == 0 then return ARGV[i], n end
  end
  return nil, n + count + 1
end

-- The first error that appending to the streams from KEYS[first] on would run into half-way.
local function refusal(first)
  for k = first, #KEYS do
    local info = redis.pcall('XINFO', 'STREAM', KEYS[k])
    if info.err then
      if not string.find(info.err, 'no such key', 1, true) then return info end
    else
      for i = 1, #info, 2 do
        if info[i] == 'last-generated-id' and not string.find(info[i + 1], '^[01]%-') then
          return redis.error_reply('FOREIGN ' .. KEYS[k] .. ' has an entry ' .. info[i + 1])
        end
      end
    end
  end
end

-- Appends to the streams from KEYS[first] on; ARGV[n] is '1' where an entry is its data alone.
-- For each stream there is a count, then the entries, each after its number of fields and values.
local function append(first, n)
  local plain = ARGV[n] == '1'
  n = n + 1
  for k = first, #KEYS do
    local key, count = KEYS[k], tonumber(ARGV[n])
    n = n + 1
    if plain then
      for i = n, n + count - 1 do redis.call('XADD', key, '1-*', 'data', ARGV[i]) end
      n = n + count
    else
      for _ = 1, count do
        local size = tonumber(ARGV[n])
        redis.call('XADD', key, '1-*', unpack(ARGV, n + 1, n + size))
        n = n + size + 1
      end
    end
  end
end
