-- Shared by what looks at streams: ids as offsets.

-- A flat list of names and values as a table.
local function named(list)
  local out = {}
  for i = 1, #list, 2 do out[list[i]] = list[i + 1] end
  return out
end

-- The offset after an id; nil where it is not one of ours.
local function after(id)
  if id == '0-0' then return 0 end
  local offset = string.match(id, '^1%-(%d+)$')
  return offset and tonumber(offset) + 1
end

-- Oldest offset kept, next to be written, number of entries. Nil: a stream of another program.
local function place(key)
  local info = redis.pcall('XINFO', 'STREAM', key)
  if info.err then return 0, 0, 0 end
  info = named(info)
  local past = after(info['last-generated-id'])
  if not past then return nil end
  local first = info['first-entry']
  return first and after(first[1]) - 1 or past, past, info['length']
end
