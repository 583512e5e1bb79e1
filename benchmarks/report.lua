-- Reports as a runner sends them: each call brings news of 5 jobs of each of 2 active requests. IDS names them. With
-- READINGS, the news is no event: metrics, a message and the time of the report. FIRST makes reports later than others.
local ids = {}
for id in string.gmatch(os.getenv("IDS"), "%S+") do ids[#ids + 1] = id end
local readings = os.getenv("READINGS")
local n = tonumber(os.getenv("FIRST") or "0")

function request()
  n = n + 1
  local parts = {}
  local stamp = string.format("2026-11-24T%02d:%02d:%02d.%06dZ", math.floor(n / 180000) % 24, math.floor(n / 3000) % 60,
    math.floor(n / 50) % 60, (n % 50) * 20000)
  for r = 1, 2 do
    local id = ids[((n * 2 + r) % #ids) + 1]
    for j = 1, 5 do
      parts[#parts + 1] = string.format('{"job_request_id":"%s","identifier":"%s%d","action":"action_%d",' ..
        '"status":"running","status_code":"%s","status_message":"Executing, %d done",' ..
        '"created_at":"2026-11-24T00:00:00.000000Z","updated_at":"%s","started_at":"2026-11-24T00:00:00.000000Z",' ..
        '"completed_at":null,"run_command":"python a.py","trace_context":{},"metrics":{"cpu":%d},"requires_db":false}',
        id, id, j, j, readings and "executing" or "step_" .. n, n, stamp, n)
    end
  end
  return wrk.format("POST", "/api/v2/jobs/", nil, "[" .. table.concat(parts, ",") .. "]")
end
