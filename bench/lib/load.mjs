import { fileURLToPath } from 'node:url';
import { cpuSeconds, run } from './processes.mjs';

const REPORT = fileURLToPath(new URL('report.lua', import.meta.url));

/**
 * Loads one URL with wrk (one thread) and measures the server's CPU time meanwhile.
 * @returns rates, latencies in milliseconds, CPU per request in milliseconds and per GB in seconds.
 */
export async function load(wrk, { url, headers = {}, connections, seconds, pid }) {
  // Without a limit of its own wrk counts answers after two seconds as errors; some peers need longer.
  const argv = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '15s', '-s', REPORT];
  for (const [name, value] of Object.entries(headers)) argv.push('-H', `${name}: ${value}`);
  const before = cpuSeconds(pid);
  const { stdout, output } = await run(wrk, [...argv, url], { timeout: (seconds + 20) * 1000 });
  const cpu = cpuSeconds(pid) - before;
  const line = /^REPORT (.*)$/m.exec(stdout);
  if (!line) throw new Error(`wrk on ${url} printed no report:\n${output}`);
  const report = JSON.parse(line[1]);
  const errors = report.connect + report.read + report.write + report.status + report.timeout;
  if (errors > 0) throw new Error(`wrk on ${url}: ${errors} errors: ${line[1]}`);
  if (report.requests === 0) throw new Error(`wrk on ${url}: no request ended within ${seconds} s`);
  const elapsed = report.microseconds / 1e6;
  return {
    requestsPerSecond: report.requests / elapsed,
    gigabytesPerSecond: report.bytes / 1e9 / elapsed,
    p50: report.p50 / 1000,
    p99: report.p99 / 1000,
    cpuPerRequest: (cpu * 1000) / report.requests,
    cpuPerGigabyte: cpu / (report.bytes / 1e9),
  };
}
