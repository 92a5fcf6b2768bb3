import { describe, expect, it } from 'vitest';
import { isFileName, isProjectName, normalise, versionOf } from '../src/names.js';

describe('project names', () => {
  // Names that packaging.utils accepts with `validate=True`, and their normalised form.
  it.each([
    ['a', 'a'],
    ['0', '0'],
    ['foo', 'foo'],
    ['FOO.Bar', 'foo-bar'],
    ['foo__-_.bar', 'foo-bar'],
    ['2to3.x', '2to3-x'],
  ])('%j is %j', (name, normal) => {
    expect([isProjectName(name), normalise(name)]).toEqual([true, normal]);
  });

  it.each(['', '_foo', 'foo_', '-foo', 'foo-', '.', 'foo bar', 'foo/bar', 'f\u00f6o', 'foo\n'])('%j is none', (name) =>
    expect(isProjectName(name)).toBe(false),
  );
});

describe('file names', () => {
  // As packaging.utils (parse_wheel_filename, parse_sdist_filename) and pip (Wheel, _extract_version_from_fragment) read them.
  it.each([
    ['foo-1.0-py3-none-any.whl', 'foo', '1.0'],
    ['foo-1.0-1000-py3-none-any.whl', 'foo', '1.0'],
    ['foo-1.0-1000b_x-py3.py2-none-any.whl', 'foo', '1.0'],
    ['Foo.Bar-1.0RC1+local.2-cp311-abi3-manylinux_2_17_x86_64.whl', 'foo-bar', '1.0rc1+local.2'],
    ['some_PACKAGE-1!1.0-py3-none-any.whl', 'some-package', '1!1.0'],
    ['foo-1.0.tar.gz', 'foo', '1.0'],
    ['foo-1.0.zip', 'foo', '1.0'],
    ['name-with-2-1.0.tar.bz2', 'name-with-2', '1.0'],
    ['name-2-1.0.tar.xz', 'name', '2-1.0'],
    ['_foo-1.0.tar.gz', '-foo', '1.0'],
    ['foo-1.0-py2.7.egg', 'foo', '1.0'],
    ['foo-1.0.win32-py2.7.exe', 'foo', '1.0'],
  ])('%s of %s has version %s', (file, project, version) => {
    expect([isFileName(file), versionOf(file, project)]).toEqual([true, version]);
  });

  it.each(['foo.whl', 'foo-.tar.gz', 'bar-1.0.tar.gz', '-1.0.zip'])('%s is no file of foo', (file) =>
    expect(versionOf(file, 'foo')).toBeUndefined(),
  );
});
