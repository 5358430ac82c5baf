-- mpv --script=mpv.lua: prints how playing went, "REPORT {json}", at the end

local utils = require "mp.utils"
local report = { pos = 0, drop = 0, stalls = 0 }

mp.observe_property("time-pos", "number", function(_, value)
    if value then
        report.first = report.first or value
        report.pos = value - report.first
    end
end)

mp.observe_property("decoder-frame-drop-count", "number", function(_, value)
    report.drop = value or report.drop
end)

-- set while the first data is awaited, too
mp.observe_property("paused-for-cache", "bool", function(_, value)
    if value and report.first then
        report.stalls = report.stalls + 1
    end
end)

mp.register_event("end-file", function(event)
    report.reason = event.reason
    report.error = event.file_error
end)

mp.register_event("shutdown", function()
    print("REPORT " .. utils.format_json(report))
end)
