-- Exact totals for the bench: wrk itself rounds what it prints.

done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format("TOTALS %d %d %d\n", summary.requests,
             summary.bytes, e.connect + e.read + e.write + e.status
             + e.timeout))
end
