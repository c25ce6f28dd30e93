-- Moves a group on in streams, where the partition is still leased to who says so.
-- KEYS leases, streams; ARGV member, group, then for each stream: lease, id done, next offset
for k = 2, #KEYS do
  local n = 3 * k - 3
  if redis.call('HGET', KEYS[1], ARGV[n]) == ARGV[1] then
    local id, offset = ARGV[n + 1], ARGV[n + 2]
    local moved = redis.pcall('XGROUP', 'SETID', KEYS[k], ARGV[2], id, 'ENTRIESREAD', offset)
    if moved.err then
      redis.call('XGROUP', 'CREATE', KEYS[k], ARGV[2], id, 'MKSTREAM', 'ENTRIESREAD', offset)
    end
  end
end
