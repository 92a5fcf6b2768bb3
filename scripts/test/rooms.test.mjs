import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { circles, folderGraph, importGraph } from '../house/graph.mjs';
import { readSources } from '../house/sources.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const sources = readSources(ROOT);

test('the rooms of the engine do not import each other in circles', () => {
  const { folders } = folderGraph(importGraph(sources, 'core/src/engine'), 'core/src/engine');
  expect(folders.size).toBeGreaterThan(5);
  expect(circles(folders)).toEqual([]);
});

test('imports between the rooms of the host lead down the list of the layout', () => {
  const layout = readFileSync(`${ROOT}/docs/architecture.md`, 'utf8');
  const rooms = [...layout.matchAll(/^host\/src\/([a-z]+)\/ /gm)].map(([, room]) => room);
  const { folders } = folderGraph(importGraph(sources, 'host/src'), 'host/src');
  expect([...folders.keys()].toSorted()).toEqual(rooms.toSorted());
  const up = [...folders].flatMap(([from, targets]) =>
    [...targets].filter((to) => rooms.indexOf(to) < rooms.indexOf(from)).map((to) => `${from} > ${to}`),
  );
  expect(up).toEqual([]);
});

test('libraries of SQL are imported by the drivers alone', () => {
  const users = sources.filter(({ imports }) => imports.some((name) => /^(kysely|node:sqlite|pg)(\/|$)/.test(name)));
  expect(users.length).toBeGreaterThan(5);
  expect(users.map(({ path }) => path).filter((path) => !path.startsWith('host/src/drivers/'))).toEqual([]);
});
