-- Sends the request in the file that BENCHMARK_REQUEST names; its placeholder becomes the number of the request.
local file = assert(io.open(os.getenv("BENCHMARK_REQUEST"), "rb"))
local template = file:read("*a")
file:close()
local mark = os.getenv("BENCHMARK_MARK")
local number = tonumber(os.getenv("BENCHMARK_FIRST_NUMBER"))
local is_marked = template:find(mark, 1, true) ~= nil

function request()
  if not is_marked then return template end
  number = number + 1
  local digits = string.format("%09d", number)
  return (template:gsub(mark, digits))
end

function done(summary, latency)
  local errors = summary.errors
  local failures = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("\nRESULT %d %f %f %f %d %d\n", summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, summary.bytes, failures))
end
