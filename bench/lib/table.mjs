/** Columns of each kind of result as `[title, field, digits]`; the first one also has its range. */
const COLUMNS = {
  requestsPerSecond: [
    ['requests/s', 'requestsPerSecond', 0],
    ['p50 ms', 'p50', 2],
    ['p99 ms', 'p99', 2],
    ['CPU ms/request', 'cpuPerRequest', 3],
    ['upstream requests', 'asked', 0],
  ],
  gigabytesPerSecond: [
    ['GB/s', 'gigabytesPerSecond', 2],
    ['p50 ms', 'p50', 1],
    ['p99 ms', 'p99', 1],
    ['CPU s/GB', 'cpuPerGigabyte', 2],
  ],
  milliseconds: [
    ['p50 ms', 'milliseconds', 2],
    ['p99 ms', 'p99', 2],
    ['first byte ms', 'firstByte', 2],
    ['added ms', 'added', 2],
    ['ping p99 ms', 'pingP99', 1],
    ['ping worst ms', 'pingWorst', 1],
    ['requests of the client', 'clientRequests', 0],
    ['upstream requests', 'upstreamRequests', 0],
    ['of them for sums', 'upstreamSums', 0],
    ['upstream MB', 'upstreamMegabytes', 1],
    ['client MB', 'clientMegabytes', 2],
    ['CPU s', 'cpu', 2],
    ['failed', 'failed', 0],
  ],
  upstreamRequests: [
    ['upstream requests', 'upstreamRequests', 0],
    ['client p50 ms', 'milliseconds', 0],
    ['last client ms', 'last', 0],
    ['upstream MB', 'upstreamMegabytes', 0],
    ['failed', 'failed', 0],
  ],
  upstreamBytes: [
    ['upstream KB', 'upstreamKilobytes', 1],
    ['sum of what was asked for, KB', 'wantedKilobytes', 1],
    ['times that', 'times', 2],
    ['upstream requests', 'upstreamRequests', 0],
    ['checksum database KB', 'databaseKilobytes', 1],
    ['checksum database requests', 'databaseRequests', 0],
    ['total ms', 'milliseconds', 0],
  ],
  served: [
    ['answered 200, of all', 'served', 2],
    ['p50 ms', 'milliseconds', 2],
    ['worst ms', 'worst', 1],
    ['unknown name: status', 'unknownStatus', 0],
    ['unknown name: ms', 'unknownMilliseconds', 1],
  ],
  firstByte: [
    ['first byte p50 ms', 'firstByte', 0],
    ['client p50 ms', 'milliseconds', 0],
    ['upstream requests', 'upstreamRequests', 0],
    ['failed', 'failed', 0],
  ],
  start: [
    ['start ms', 'milliseconds', 0],
    ['idle MiB', 'residentMiB', 0],
  ],
};

/** Kinds where more is better; a ratio is "Entrepot / peer" for these and "peer / Entrepot" for times. */
const RATES = new Set(['requestsPerSecond', 'gigabytesPerSecond']);

function number(value, digits) {
  if (value === undefined || Number.isNaN(value)) return '';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A table in Markdown: the first column to the left, others to the right. */
export function table(head, rows) {
  const lines = [head, head.map((_, index) => (index === 0 ? '---' : '--:')), ...rows];
  const widths = head.map((_, index) => Math.max(...lines.map((line) => line[index].length)));
  return lines
    .map((line, row) => {
      const cells = line.map((cell, index) => {
        if (row === 1) return index === 0 ? '-'.repeat(widths[index]) : `${'-'.repeat(widths[index] - 1)}:`;
        return index === 0 ? cell.padEnd(widths[index]) : cell.padStart(widths[index]);
      });
      return `| ${cells.join(' | ')} |`;
    })
    .join('\n');
}

/** One scenario as Markdown. */
export function scenarioTable({ title, result }) {
  if (result.error) return `### ${title}\n\nFailed: ${result.error}\n`;
  if (result.rows.length === 0) return `### ${title}\n\nNot measured: no server for it.\n`;
  const columns = COLUMNS[result.kind].filter(([, field]) => result.rows.some((row) => row[field] !== undefined));
  const main = columns[0][1];
  const ours = result.rows.find((row) => row.server === 'entrepot');
  const head = ['server', columns[0][0], 'min - max', ...columns.slice(1).map(([name]) => name)];
  const withRatio = ours && RATES.has(result.kind);
  if (withRatio) head.push('Entrepot / it');
  const rows = result.rows.map((row) => {
    const digits = columns[0][2];
    const range = row.runs > 1 ? `${number(row.low, digits)} - ${number(row.high, digits)}` : '';
    const cells = [row.server, number(row[main], digits), range];
    for (const [, field, precision] of columns.slice(1)) cells.push(number(row[field], precision));
    if (withRatio) cells.push(row === ours ? '' : `${number(ours[main] / row[main], 2)}x`);
    return cells;
  });
  const notes = (result.notes ?? []).map((note) => `\n- ${note}`).join('');
  return `### ${title}\n\n${table(head, rows)}\n${notes ? `${notes}\n` : ''}`;
}

/** Every bar with what came out. A bar whose servers did not run is left out. */
export function bars(results) {
  const found = [];
  for (const { id, title, result } of results) {
    const ours = result.rows?.find((row) => row.server === 'entrepot');
    if (!ours) continue;
    for (const bar of result.bars) {
      if (bar.against) {
        const peer = result.rows.find((row) => row.server === bar.against);
        if (!peer) continue;
        const ratio = ours[result.kind] / peer[result.kind];
        found.push({
          id,
          title,
          bar: bar.most === undefined ? `>= ${bar.least}x ${bar.against}` : `<= ${bar.most}x ${bar.against}`,
          got: `${number(ratio, 2)}x`,
          met: bar.most === undefined ? ratio >= bar.least : ratio <= bar.most,
        });
      } else {
        const value = ours[bar.of];
        const isMet = bar.most === undefined ? value >= bar.least : value <= bar.most;
        const digits = value < 10 && !Number.isInteger(value) ? 2 : 0;
        found.push({
          id,
          title,
          bar: bar.most === undefined ? `>= ${bar.least} ${bar.unit}` : `<= ${bar.most} ${bar.unit}`,
          got: number(value, digits),
          met: isMet,
        });
      }
    }
  }
  return found;
}

export function barsTable(found) {
  if (found.length === 0) return 'No bar was measured.\n';
  const rows = found.map(({ title, bar, got, met }) => [title, bar, got, met ? 'met' : '**missed**']);
  return `${table(['scenario', 'bar', 'got', 'result'], rows)}\n`;
}
