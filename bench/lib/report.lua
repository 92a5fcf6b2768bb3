-- wrk calls this once at the end. One line of JSON, so that nothing has to be read out of prose.
function done(summary, latency, requests)
  io.write(string.format(
    '\nREPORT {"microseconds":%d,"requests":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"p50":%d,"p99":%d}\n',
    summary.duration, summary.requests, summary.bytes, summary.errors.connect, summary.errors.read, summary.errors.write,
    summary.errors.status, summary.errors.timeout, latency:percentile(50), latency:percentile(99)))
end
