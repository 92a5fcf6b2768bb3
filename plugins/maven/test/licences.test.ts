import { expect, it } from 'vitest';
import { licenceOf } from '../src/licences.js';

it.each([
  ['The Apache Software License, Version 2.0', 'Apache-2.0'],
  ['Apache-2.0', 'Apache-2.0'],
  ['Apache License, v2.0', 'Apache-2.0'],
  ['The MIT License', 'MIT'],
  ['GNU Lesser General Public License, version 2.1', 'LGPL-2.1-only'],
  ['GPL2 w/ CPE', 'GPL-2.0-only WITH Classpath-exception-2.0'],
  ['Eclipse Public License - v 2.0', 'EPL-2.0'],
  ['Eclipse Distribution License - v 1.0', 'BSD-3-Clause'],
  ['New BSD License', 'BSD-3-Clause'],
  ['BSD 2-Clause', 'BSD-2-Clause'],
  ['Our Own Terms', 'Our Own Terms'],
])('reads %s', (name, expression) => {
  expect(licenceOf(name)).toBe(expression);
});
