/** The cells of a row, one for each column. Numbers stand at the right. */
export type Row = readonly (string | number)[];

/** Prints rows below their headings, in columns. */
export function printTable(headings: readonly string[], rows: readonly Row[]): string {
  const lines = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => String(line[column] ?? '').length)));
  const isRight = headings.map((_, column) => rows.length > 0 && rows.every((row) => isAmount(row[column])));
  return lines
    .map((line) =>
      widths
        .map((width, column) => {
          const text = String(line[column] ?? '');
          return isRight[column] === true ? text.padStart(width) : text.padEnd(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Whether a cell is a number, with a unit or without. */
function isAmount(cell: string | number | undefined): boolean {
  return typeof cell === 'number' || (cell !== undefined && /^(?:-|\d+(?:\.\d+)?(?:[KMGT]iB|B)?)$/.test(cell));
}
