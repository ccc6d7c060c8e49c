-- For wrk: posts the bodies of LOAD_FOLDER/bodies to the paths of LOAD_FOLDER/paths in turn, each with a key of its
-- own, and prints one line of JSON at the end.

local function lines(name)
  local found = {}
  for line in io.lines(os.getenv("LOAD_FOLDER") .. "/" .. name) do found[#found + 1] = line end
  return found
end

local paths, bodies = lines("paths"), lines("bodies")
local kind, run, count = os.getenv("LOAD_KIND"), os.getenv("LOAD_RUN"), 0

request = function()
  count = count + 1
  local headers = { ["Content-Type"] = kind, ["Idempotency-Key"] = run .. "-" .. count }
  return wrk.format("POST", paths[count % #paths + 1], headers, bodies[count % #bodies + 1])
end

done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"accepted": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}\n',
    summary.requests - errors.status, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors.status + failed))
end
