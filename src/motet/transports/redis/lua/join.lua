-- Makes a member of a group. KEYS members, subscriptions; ARGV member, session in us, topics
local time = redis.call('TIME')
local until_us = time[1] * 1000000 + time[2] + tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], string.format('%.0f', until_us), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
