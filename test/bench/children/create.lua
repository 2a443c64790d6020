-- A wrk script: POST /create-order, each request with an id of its own (the argument, the thread, a counter), and with an
-- idempotency key if a second argument says "keyed". Prints one JSON line.
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("thread_number", threads)
end

local prefix, n = "", 0
local headers = { ["Content-Type"] = "application/json" }
local keyed = false
function init(args)
  prefix = args[1] .. thread_number
  keyed = args[2] == "keyed"
end

function request()
  n = n + 1
  if keyed then headers["Idempotency-Key"] = string.format('"%s%08d"', prefix, n) end
  return wrk.format("POST", "/create-order", headers, string.format('{"order_id":"%s%08d","number_of_items":3}', prefix, n))
end

function done(summary, latency)
  local e = summary.errors
  print(string.format('{"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"not_ok":%d,"broken":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status, e.connect + e.read + e.write + e.timeout))
end
