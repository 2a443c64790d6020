-- A wrk script: POST /create-order, each request with an id of its own (the argument, the thread, a counter). Prints one JSON line.
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("thread_number", threads)
end

local prefix, n = "", 0
local headers = { ["Content-Type"] = "application/json" }
function init(args) prefix = args[1] .. thread_number end

function request()
  n = n + 1
  return wrk.format("POST", "/create-order", headers, string.format('{"order_id":"%s%08d","number_of_items":3}', prefix, n))
end

function done(summary, latency)
  local e = summary.errors
  print(string.format('{"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"not_ok":%d,"broken":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status, e.connect + e.read + e.write + e.timeout))
end
