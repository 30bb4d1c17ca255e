#!lua name=prism

-- The data plane's operations on one vertex, each atomic, each refusing without
-- effect when its precondition does not hold. Redis 7.0 or newer. The contract,
-- with the reason for every rule, is docs/reference/data-plane.md.
--
-- A vertex key is absent, LIVE (a hash with _v and _e), a tombstone (a hash of
-- exactly _v, _e and _x) or a STUB (a hash with nothing but
-- _m = "<partition>:<epoch>"). Versions and epochs are whole numbers below
-- 2^53, because a Lua number is a double.
--
-- What a function costs is its redis.calls. HGET is three times cheaper than an
-- HMGET of two fields (no table is built) and a number handed to redis.call is
-- slower than its text, hence the shapes below.

local VERSION = 1
local MAX_FIELDS = 100000      -- data fields of a vertex
local MAX_BYTES = 16777216     -- of its key in memory, by MEMORY USAGE
local SMALL_FIELDS = 128       -- a vertex of no more fields, none of them ...
local SMALL_VALUE = 4096       -- ... longer, is far from MAX_BYTES
local TOMBSTONE_FIELDS = 3
local CHUNK = 4000             -- arguments of one redis.call; Lua's stack holds 8000
local LIMIT = 9007199254740992 -- 2^53
local ANY = 1e9                -- any number of arguments
local UNDERSCORE, ZERO, NINE = 95, 48, 57

-- Redis 7.0 hides everything but redis.register_function while a library loads;
-- the first call of any function fills these in.
local call, error_reply, byte, find, format, match, sub, min, concat
local function bind()
    call, error_reply, min = redis.call, redis.error_reply, math.min
    byte, find, format = string.byte, string.find, string.format
    match, sub, concat = string.match, string.sub, table.concat
end

local function fail(name, text)
    return error_reply('ERR prism_' .. name .. ': ' .. text)
end

-- Every function begins here. nil when the call has `want` keys and `least` to
-- `most` arguments, else the error.
local function arity(name, keys, args, want, least, most)
    if not call then bind() end
    if #keys ~= want then
        return fail(name, 'wants ' .. want .. ' key(s), got ' .. #keys)
    end
    if #args < least or #args > most then
        return fail(name, 'wants ' .. least ..
            (most == least and '' or most == ANY and ' or more' or ' to ' .. most) ..
            ' argument(s), got ' .. #args)
    end
end

-- Whole number in canonical decimal (no sign, no leading zero), or nil.
local function whole(text)
    if #text == 1 then
        local b = byte(text)
        return b >= ZERO and b <= NINE and b - ZERO or nil
    end
    if not find(text, '^[1-9]%d*$') then return nil end
    local n = tonumber(text)
    return n < LIMIT and n or nil
end

local function not_whole(name, what, text)
    return fail(name, what .. ' "' .. sub(text, 1, 32) .. '" is not a whole number below 2^53')
end

local function stub_epoch(m)
    return tonumber(match(m, ':(%d+)$'))
end

-- For a key with neither _v nor _m: nil when it is absent, else the error. What
-- is there is not ours, and taking it for absent would overwrite it.
local function foreign(name, key)
    if call('EXISTS', key) == 1 then
        return fail(name, 'key "' .. key .. '" holds neither _v nor _m: not a vertex')
    end
end

-- WAIT speaks of what the connection wrote last; since Redis 7.2 having read is
-- no longer enough. Whoever is told a fact on which a WAIT follows therefore
-- writes it again: the same value, replicated.
local function again(key, field, value)
    call('HSET', key, field, value)
end

-- The reply for a key without _v: `word` and the stub, or ABSENT.
local function elsewhere(name, key, word)
    local m = call('HGET', key, '_m')
    if m then return {word, m} end
    return foreign(name, key) or {'ABSENT'}
end

local function deleted(key, fields)
    return fields == TOMBSTONE_FIELDS and call('HGET', key, '_x')
end

-- args[first .. last] are name-value pairs (step 2) or names (step 1). Returns
-- the error when a name is one of ours, else nil, the bytes given and the longest
-- value's.
local function check_fields(name, args, first, last, step)
    local bytes, longest = 0, 0
    for i = first, last, step do
        local f = args[i]
        if byte(f) == UNDERSCORE then
            return fail(name, 'field "' .. sub(f, 1, 64) .. '" is reserved')
        end
        if step == 2 then
            local n = #args[i + 1]
            bytes = bytes + #f + n
            if n > longest then longest = n end
        end
    end
    return nil, bytes, longest
end

-- The number of pairs promised by args[1], or nil and the error.
local function pairs_given(name, args)
    local n = whole(args[1])
    if not n then return nil, not_whole(name, 'n', args[1]) end
    if 1 + 2 * n > #args then
        return nil, fail(name, 'n is ' .. args[1] .. ' but only ' .. (#args - 1) ..
            ' argument(s) follow')
    end
    return n
end

local function count_new(key, args, first, last)
    local new, seen = 0, {}
    for i = first, last, 2 do
        local f = args[i]
        if not seen[f] then
            seen[f] = true
            if call('HEXISTS', key, f) == 0 then new = new + 1 end
        end
    end
    return new
end

local function usage(key, samples)
    return call('MEMORY', 'USAGE', key, 'SAMPLES', samples) or 0
end

-- True when adding the pairs args[first .. last], of `bytes` and with a `longest`
-- value, to a key of `fields` fields, two of them ours, passes a cap. Five fields
-- are asked for their size on behalf of all; should that be too much, or a long
-- value come in, every field is.
local function full(key, fields, args, first, last, bytes, longest)
    local have = fields - 2
    if have + (last - first + 1) / 2 > MAX_FIELDS and
       have + count_new(key, args, first, last) > MAX_FIELDS then
        return true
    end
    if have <= SMALL_FIELDS and longest <= SMALL_VALUE then return bytes > MAX_BYTES end
    return (longest > SMALL_VALUE or usage(key, '5') + bytes > MAX_BYTES) and
        usage(key, '0') + bytes > MAX_BYTES
end

local function set_more(key, args, first, last)
    for from = first, last, CHUNK do
        call('HSET', key, unpack(args, from, min(last, from + CHUNK - 1)))
    end
end

-- HSET of _v and the pairs args[first .. last].
local function set(key, v, args, first, last)
    if last - first == 1 then
        call('HSET', key, '_v', format('%d', v), args[first], args[last])
        return
    end
    local stop = min(last, first + CHUNK - 1)
    call('HSET', key, '_v', format('%d', v), unpack(args, first, stop))
    set_more(key, args, stop + 1, last)
end

-- ---------------------------------------------------------------- the mover

-- take key E -> LIVE v dump | STUB m | ABSENT | REFUSED e
-- _e is set before DUMP, so that the copy carries it.
local function take(keys, args)
    local bad = arity('take', keys, args, 1, 1, 1)
    if bad then return bad end
    local E = whole(args[1])
    if not E then return not_whole('take', 'E', args[1]) end

    local key = keys[1]
    local v = call('HGET', key, '_v')
    if not v then
        local m = call('HGET', key, '_m')
        if m then again(key, '_m', m) end
        return elsewhere('take', key, 'STUB')
    end
    local e = tonumber(call('HGET', key, '_e') or '0')
    if e > E then return {'REFUSED', e} end
    again(key, '_e', args[1])
    return {'LIVE', tonumber(v), call('DUMP', key)}
end

-- fence key v d E -> OK | REFUSED why
local function fence(keys, args)
    local bad = arity('fence', keys, args, 1, 3, 3)
    if bad then return bad end
    local v, d, E = args[1], args[2], args[3]
    if not whole(v) then return not_whole('fence', 'v', v) end
    if not whole(d) then return not_whole('fence', 'd', d) end
    if not whole(E) then return not_whole('fence', 'E', E) end

    local key, m = keys[1], d .. ':' .. E
    local have = call('HGET', key, '_v')
    if have == v then
        local e = call('HGET', key, '_e')
        if e ~= E then return {'REFUSED', 'epoch ' .. (e or 'none')} end
        call('UNLINK', key)
        call('HSET', key, '_m', m)
        return {'OK'}
    end
    if have then return {'REFUSED', 'version ' .. have} end
    local stub = call('HGET', key, '_m')
    if stub == m then
        again(key, '_m', m)
        return {'OK'}
    end
    if stub then return {'REFUSED', 'stub ' .. stub} end
    return foreign('fence', key) or {'REFUSED', 'absent'}
end

-- promote key gkey E -> OK | DONE | ALARM
local function promote(keys, args)
    local bad = arity('promote', keys, args, 2, 1, 1)
    if bad then return bad end
    local E = whole(args[1])
    if not E then return not_whole('promote', 'E', args[1]) end

    local key, staging = keys[1], keys[2]
    local v = call('HGET', key, '_v')
    if v then
        again(key, '_v', v)
        return {'DONE'}
    end
    local m = call('HGET', key, '_m')
    if m then
        if stub_epoch(m) >= E then
            again(key, '_m', m)
            return {'DONE'}
        end
    else
        bad = foreign('promote', key)
        if bad then return bad end
    end
    if call('HGET', staging, '_e') ~= args[1] then return {'ALARM'} end
    call('RENAME', staging, key)
    return {'OK'}
end

-- route key d E -> OK | LIVE | NEWER
local function route(keys, args)
    local bad = arity('route', keys, args, 1, 2, 2)
    if bad then return bad end
    local d, E = args[1], whole(args[2])
    if not whole(d) then return not_whole('route', 'd', d) end
    if not E then return not_whole('route', 'E', args[2]) end

    local key, m = keys[1], d .. ':' .. args[2]
    local v = call('HGET', key, '_v')
    if v then
        again(key, '_v', v)
        return {'LIVE'}
    end
    local stub = call('HGET', key, '_m')
    if stub then
        if stub == m or stub_epoch(stub) >= E then
            again(key, '_m', stub)
            return {stub == m and 'OK' or 'NEWER'}
        end
    else
        bad = foreign('route', key)
        if bad then return bad end
    end
    call('HSET', key, '_m', m)
    return {'OK'}
end

-- --------------------------------------------------------------- the client

-- write key n f v ... [field ...] -> OK v | MOVED m | ABSENT | DELETED | FULL
-- Sets n pairs, then removes the fields that follow. Never creates.
local function write(keys, args)
    local bad = arity('write', keys, args, 1, 1, ANY)
    if bad then return bad end
    local n, bytes, longest
    n, bad = pairs_given('write', args)
    if bad then return bad end
    local last, count = 1 + 2 * n, #args
    bad, bytes, longest = check_fields('write', args, 2, last, 2)
    if bad then return bad end
    if count > last then
        bad = check_fields('write', args, last + 1, count, 1)
        if bad then return bad end
    end

    local key = keys[1]
    local v = call('HGET', key, '_v')
    if not v then return elsewhere('write', key, 'MOVED') end
    local fields = call('HLEN', key)
    if deleted(key, fields) then return {'DELETED'} end
    if n > 0 and full(key, fields, args, 2, last, bytes, longest) then return {'FULL'} end

    v = tonumber(v) + 1
    set(key, v, args, 2, last)
    for from = last + 1, count, CHUNK do
        call('HDEL', key, unpack(args, from, min(count, from + CHUNK - 1)))
    end
    return {'OK', v}
end

-- delete key -> OK v | MOVED m | ABSENT | DELETED
-- Leaves a tombstone: an absent key could not be told from one that is moving.
local function delete(keys, args)
    local bad = arity('delete', keys, args, 1, 0, 0)
    if bad then return bad end

    local key = keys[1]
    local v = call('HGET', key, '_v')
    if not v then return elsewhere('delete', key, 'MOVED') end
    if deleted(key, call('HLEN', key)) then return {'DELETED'} end
    v = tonumber(v) + 1
    local e = call('HGET', key, '_e') or '0'
    call('UNLINK', key)
    call('HSET', key, '_v', format('%d', v), '_e', e, '_x', '1')
    return {'OK', v}
end

-- claim key t ishome -> OK | STUB m | LIVE | DELETED
-- At home. Where there was nothing it makes an empty vertex (ishome 1; replies
-- OK) or the claim, a stub of epoch 0. Otherwise replies with what is there: a
-- claim found and a claim made are alike to the caller.
local function claim(keys, args)
    local bad = arity('claim', keys, args, 1, 2, 2)
    if bad then return bad end
    local t, ishome = args[1], args[2]
    if not whole(t) then return not_whole('claim', 't', t) end
    if ishome ~= '0' and ishome ~= '1' then
        return fail('claim', 'ishome "' .. sub(ishome, 1, 32) .. '" is neither 0 nor 1')
    end

    local key = keys[1]
    local m = call('HGET', key, '_m')
    if m then
        again(key, '_m', m)
        return {'STUB', m}
    end
    local v = call('HGET', key, '_v')
    if v then
        again(key, '_v', v)
        return {deleted(key, call('HLEN', key)) and 'DELETED' or 'LIVE'}
    end
    bad = foreign('claim', key)
    if bad then return bad end
    if ishome == '1' then
        call('HSET', key, '_v', '1', '_e', '0')
        return {'OK'}
    end
    m = t .. ':0'
    call('HSET', key, '_m', m)
    return {'STUB', m}
end

-- What create and load do to an absent key.
local function appear(name, key, args, first, last, bytes, longest)
    local bad = foreign(name, key)
    if bad then return bad end
    if full(key, 2, args, first, last, bytes, longest) then return {'FULL'} end
    -- One HSET, so that replicas and the AOF get no MULTI and EXEC around two.
    local stop = min(last, first + CHUNK - 1)
    call('HSET', key, '_e', '0', '_v', '1', unpack(args, first, stop))
    set_more(key, args, stop + 1, last)
    return {'OK', 1}
end

-- create key n f v ... [existing] -> OK v | MOVED m | FULL | ABSENT
-- Without the word "existing" only after following a stub of epoch 0: anywhere
-- else an absent key may be a vertex on its way, and creating it here would make
-- a second one. With it, replies ABSENT instead.
local function create(keys, args)
    local bad = arity('create', keys, args, 1, 1, ANY)
    if bad then return bad end
    local n, bytes, longest
    n, bad = pairs_given('create', args)
    if bad then return bad end
    local last = 1 + 2 * n
    local existing = #args == last + 1 and args[#args] == 'existing'
    if #args > last and not existing then
        return fail('create', 'n is ' .. args[1] .. ' but ' .. (#args - 1) ..
            ' argument(s) follow')
    end
    bad, bytes, longest = check_fields('create', args, 2, last, 2)
    if bad then return bad end

    local key = keys[1]
    local v = call('HGET', key, '_v')
    if not v then
        local m = call('HGET', key, '_m')
        if m then return {'MOVED', m} end
        if existing then return foreign('create', key) or {'ABSENT'} end
        return appear('create', key, args, 2, last, bytes, longest)
    end
    local fields = call('HLEN', key)
    local gone = deleted(key, fields)
    if full(key, gone and 2 or fields, args, 2, last, bytes, longest) then return {'FULL'} end
    if gone then call('HDEL', key, '_x') end
    v = tonumber(v) + 1
    set(key, v, args, 2, last)
    return {'OK', v}
end

-- load key f v ... -> OK v | MOVED m | DELETED | FULL
-- Bulk load at home, before anything else knows the vertex.
local function load(keys, args)
    local bad = arity('load', keys, args, 1, 0, ANY)
    if bad then return bad end
    local last, bytes, longest = #args, nil, nil
    if last % 2 ~= 0 then
        return fail('load', 'field "' .. sub(args[last], 1, 64) .. '" has no value')
    end
    bad, bytes, longest = check_fields('load', args, 1, last, 2)
    if bad then return bad end

    local key = keys[1]
    local v = call('HGET', key, '_v')
    if not v then
        local m = call('HGET', key, '_m')
        if m then return {'MOVED', m} end
        return appear('load', key, args, 1, last, bytes, longest)
    end
    local fields = call('HLEN', key)
    if deleted(key, fields) then return {'DELETED'} end
    if full(key, fields, args, 1, last, bytes, longest) then return {'FULL'} end
    v = tonumber(v) + 1
    set(key, v, args, 1, last)
    return {'OK', v}
end

-- ---------------------------------------------------------------- read only

-- get key field ... -> LIVE v value ... | MOVED m | ABSENT | DELETED
local function get(keys, args)
    local n = #args
    local bad = arity('get', keys, args, 1, 0, CHUNK)
    if bad then return bad end

    args[n + 1] = '_x'
    local r = call('HMGET', keys[1], '_m', '_v', unpack(args))
    if r[1] then return {'MOVED', r[1]} end
    if not r[2] then return foreign('get', keys[1]) or {'ABSENT'} end
    if r[n + 3] then return {'DELETED'} end
    r[1], r[2], r[n + 3] = 'LIVE', tonumber(r[2]), nil
    return r
end

-- neighbors key dir cursor count -> LIVE cursor id weight ... | MOVED m | ABSENT | DELETED
-- A page of HSCAN: an id may come twice while the vertex grows.
local function neighbors(keys, args)
    local bad = arity('neighbors', keys, args, 1, 3, 3)
    if bad then return bad end
    local dir, cursor, count = args[1], args[2], whole(args[3])
    if dir ~= 'o' and dir ~= 'i' then
        return fail('neighbors', 'dir "' .. sub(dir, 1, 32) .. '" is neither o nor i')
    end
    if #cursor > 20 or not find(cursor, '^%d+$') then
        return fail('neighbors', 'cursor "' .. sub(cursor, 1, 32) .. '" is not a cursor')
    end
    if not count or count < 1 or count > 10000 then
        return fail('neighbors', 'count "' .. sub(args[3], 1, 32) .. '" is not 1 to 10000')
    end

    local key = keys[1]
    if not call('HGET', key, '_v') then return elsewhere('neighbors', key, 'MOVED') end
    if deleted(key, call('HLEN', key)) then return {'DELETED'} end
    local page = call('HSCAN', key, cursor, 'MATCH', dir .. ':*', 'COUNT', args[3])
    local found, out = page[2], {'LIVE', page[1]}
    for i = 1, #found, 2 do
        out[i + 2], out[i + 3] = sub(found[i], 3), found[i + 1]
    end
    return out
end

local PRINT_FIELDS = 512    -- a vertex of epoch 0 with more has no print
local PRINT_BYTES = 65536   -- nor has one that is longer

-- What a vertex says, in whatever order. Sums of 44 bits: of 512 each is exact. nil: too much.
local function told(key)
    if call('HLEN', key) > PRINT_FIELDS then return nil end
    local list, bytes, a, b = call('HGETALL', key), 0, 0, 0
    for i = 1, #list, 2 do
        local row = #list[i] .. ':' .. list[i] .. list[i + 1]
        bytes = bytes + #row
        if bytes > PRINT_BYTES then return nil end
        local h = redis.sha1hex(row)
        a, b = a + tonumber(sub(h, 1, 11), 16), b + tonumber(sub(h, 12, 22), 16)
    end
    return format('%.0f.%.0f', a, b)
end

-- Every write of a vertex counts its _v up, and one that has moved before (epoch above 0) is not
-- made anew. One that was begins at epoch 0, and soon has as many writes as another.
local function print_of(key)
    if call('TYPE', key).ok ~= 'hash' then return '' end
    local r = call('HMGET', key, '_v', '_e', '_m', '_x')
    if not r[1] or not r[2] or r[3] or r[4] or not (whole(r[1]) and whole(r[2])) then return '' end
    local text = r[2] ~= '0' and '' or told(key)
    if not text then return '' end
    return format('v%s.%s.%d.%s.%d', r[1], r[2], call('HLEN', key), text, call('PEXPIRETIME', key))
end

-- print key ... -> text ...
-- Any keys of one slot. A vertex's text changes when its value or expiry does; empty: it is no
-- vertex (a stub or a tombstone is none either), or one of epoch 0 that is too large.
local function prints(keys, args)
    if not call then bind() end
    if #args ~= 0 then return fail('print', 'wants no argument, got ' .. #args) end
    local out = {}
    for i = 1, #keys do out[i] = print_of(keys[i]) end
    return out
end

local function version(keys, args)
    return arity('version', keys, args, 1, 0, 0) or {'OK', VERSION}
end

-- A full node must still be able to give its vertices away and to take over what
-- was staged on it: a fence without its promote leaves a vertex unreachable. They
-- free memory, or need a few bytes; RESTORE, before the fence, is what is refused.
local function register_when_full(name, callback)
    redis.register_function{
        function_name = name, callback = callback, flags = {'allow-oom'},
    }
end
register_when_full('prism_take', take)
register_when_full('prism_fence', fence)
register_when_full('prism_promote', promote)
register_when_full('prism_route', route)
register_when_full('prism_delete', delete)
redis.register_function('prism_write', write)
redis.register_function('prism_claim', claim)
redis.register_function('prism_create', create)
redis.register_function('prism_load', load)
redis.register_function{
    function_name = 'prism_get', callback = get, flags = {'no-writes'},
}
redis.register_function{
    function_name = 'prism_neighbors', callback = neighbors, flags = {'no-writes'},
}
redis.register_function{
    function_name = 'prism_print', callback = prints, flags = {'no-writes'},
}
redis.register_function{
    function_name = 'prism_version', callback = version, flags = {'no-writes'},
}
