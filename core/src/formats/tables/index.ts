export { FileTable } from './file-table.js';
export * from './table.js';
export { DamagedTableError } from './table-layout.js';
export * from './table-maker.js';
export * from './table-program.js';
export * from './table-writer.js';
