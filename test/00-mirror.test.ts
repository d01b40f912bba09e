/** One table, three bodies: shaders/, native/kernels/ and src/kernels/reference/ list exactly the table's kernels. */
import {readdirSync, readFileSync} from 'node:fs';
import {describe, expect, it} from 'vitest';
import {kernelNames, row} from '../dist/kernels/table.js';

const namesIn = (folder: string, extension: string): string[] =>
  readdirSync(new URL(`../${folder}`, import.meta.url))
    .filter((file) => file.endsWith(extension))
    .map((file) => file.slice(0, -extension.length))
    .sort();

const names = [...kernelNames].sort();
/** Files that stand beside the kernels and hold what several of them share. */
const shared = {reference: ['body', 'engine', 'phi']};

describe('the kernel table', () => {
  it('is mirrored by the reference bodies', () => {
    const found = namesIn('src/kernels/reference', '.ts').filter((name) => !shared.reference.includes(name));
    expect(found).toEqual(names);
  });

  it('is mirrored by the C++ kernels', () => {
    expect(namesIn('native/kernels', '.h')).toEqual(names);
  });

  it('is mirrored by the shaders', () => {
    // A shader variant is named KERNEL.VARIANT.wgsl.
    const found = new Set(namesIn('shaders', '.wgsl').map((name) => name.split('.')[0]));
    expect([...found].sort()).toEqual(names);
  });

  it('is the one in the README', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const rows = kernelNames.map((name) => `| \`${name}\` | ${row(name).does} |`);
    expect(readme).toContain(rows.join('\n'));
  });

  it('measures every buffer in parameters that the kernel has', () => {
    for (const name of kernelNames) {
      const {params, buffers} = row(name);
      for (const buffer of Object.values(buffers)) {
        for (const factor of buffer.length) expect(params[factor]?.kind, `${name}: ${factor}`).toBe('size');
      }
    }
  });
});
