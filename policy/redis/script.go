package redislimit

import (
	"crypto/sha1" //nolint:gosec // it is how Redis names scripts
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
)

// Script is what runs in Redis: for those who load scripts by themselves, or want
// to know. Its key is that of a hash, its arguments are two for each limit: the name,
// and six numbers of microseconds with spaces between them: a full bucket, the ceiling
// of any backlog, up to where it may grow by what is owed and by what is asked, what is
// asked, and what is owed, for it was taken without Redis. It adds what is owed, as far
// as there is room, and then what is asked, if all of that has room. It answers 1 if so
// and 0 if not, and the backlog of each limit before either. Where the ceiling is above
// a full bucket, for callers may wait, the backlog is stored too, after a slash: it only
// shrinks until it is stored again, unless the clock steps back.
//
//nolint:dupword // so does Lua end its blocks
const Script = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local names = {}
for i = 1, #ARGV, 2 do
  names[#names + 1] = ARGV[i]
end
local tats = redis.call('HMGET', KEYS[1], unpack(names))
local taken, moved, spent = 1, false, false
local before, backlogs, costs, lined = {}, {}, {}, {}
for i = 1, #names do
  local numbers = {}
  for number in string.gmatch(ARGV[2 * i], '%d+') do
    numbers[#numbers + 1] = tonumber(number)
  end
  local full, ceiling, line, most, cost, owed = unpack(numbers)
  local backlog = 0
  if tats[i] then
    local tat, high = string.match(tats[i], '^(%d+)/(%d+)$')
    tat, high = tonumber(tat or tats[i]), tonumber(high or full)
    if not tat or high > ceiling then -- it is nothing of ours
      tat, high = math.huge, full
    end
    backlog = math.ceil(tat - now)
    if not (backlog <= high) then -- or the clock stepped back
      backlog, moved = high, true
    end
    backlog = math.max(backlog, 0)
  end
  before[i] = backlog
  if owed > 0 and backlog < line then
    backlog, moved = math.min(backlog + owed, line), true
  end
  if cost > 0 and backlog + cost > most then taken = 0 end
  if cost > 0 then spent = true end
  backlogs[i], costs[i], lined[i] = backlog, cost, ceiling > full
end
if moved or spent and taken == 1 then
  local fields, longest = {}, 0
  for i = 1, #names do
    local backlog = backlogs[i]
    if taken == 1 then backlog = backlog + costs[i] end
    longest = math.max(longest, backlog)
    local stored = string.format('%.0f', now + backlog)
    if lined[i] then
      stored = stored .. string.format('/%.0f', backlog)
    end
    fields[2 * i - 1], fields[2 * i] = names[i], stored
  end
  redis.call('HSET', KEYS[1], unpack(fields))
  local ttl = math.ceil(longest / 1000) + 1
  if redis.call('PTTL', KEYS[1]) < ttl then
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
  end
end
return {taken, unpack(before)}
`

var scriptHash = func() string {
	sum := sha1.Sum([]byte(Script)) //nolint:gosec // it is how Redis names scripts
	return hex.EncodeToString(sum[:])
}()

// identity is what stands for a key from here on: short, and telling nothing.
func identity(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// arguments are those of the script. They are few: of somebody who has not said the
// password, Redis reads no more than ten words before it says so.
func arguments(charges []charge) []any {
	args := make([]any, 0, 2*len(charges))
	for _, c := range charges {
		var numbers []byte
		for _, n := range [...]int64{c.full, c.ceiling, c.line, c.most, c.cost, c.owed} {
			numbers = append(strconv.AppendInt(numbers, n, 10), ' ')
		}
		args = append(args, c.name, string(numbers))
	}
	return args
}

// parse reads what the script has answered to charges, which are the answer's from
// then on. What it cannot have answered is an error, so that nothing is admitted by
// mistake.
func parse(reply any, charges []charge) (answer, error) {
	values, ok := reply.([]any)
	if !ok || len(values) != 1+len(charges) {
		return answer{}, errReply
	}
	a := answer{charges: charges, backlogs: make([]int64, len(charges))}
	taken, ok := values[0].(int64)
	if !ok {
		return answer{}, errReply
	}
	for i, c := range charges {
		backlog, ok := values[1+i].(int64)
		if !ok || backlog < 0 || backlog > c.ceiling {
			return answer{}, errReply
		}
		a.backlogs[i] = c.indebted(backlog)
		if c.owed > 0 {
			charges[i].owed -= a.backlogs[i] - backlog
		}
	}
	a.taken = taken == 1
	if a.taken != admitted(charges, a.backlogs) || !a.taken && taken != 0 {
		return answer{}, errReply
	}
	return a, nil
}
