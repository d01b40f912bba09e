/** The examples of engram/kernels, as a reader of the README runs them: with the addon, without, and on a GPU device. */
import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {describe, expect, it} from 'vitest';
import {describeGpu} from './gpu.js';
import {describeAddon} from './native.js';

const pathOf = (example: string) => fileURLToPath(new URL(`../examples/${example}`, import.meta.url));

for (const [name, about, env] of [
  ['native', describeAddon, {}],
  ['reference', describe, {ENGRAM_NATIVE: 'skip'}],
] as const) {
  about(`examples/kernels.mjs on the ${name} engine`, () => {
    it('agrees with its plain loops and stops its long kernel', () => {
      const {status, stdout} = spawnSync(process.execPath, [pathOf('kernels.mjs')], {
        encoding: 'utf8',
        env: {...process.env, ...env},
      });
      const lines = stdout.trim().split('\n');
      expect(lines).toHaveLength(3);
      for (const line of lines.slice(0, 2)) {
        const difference = Number(/within (\S+) of plain loops/.exec(line)?.[1]);
        expect(difference, line).toBeLessThan(1e-5);
        expect(Number(/importance (\S+),/.exec(line)?.[1]), line).toBeGreaterThan(0.1);
      }
      expect(lines[2]).toMatch(/^long kernel: (stopped by TimeoutError|done).* ticked [1-9]/);
      expect(status).toBe(0);
    });
  });
}

describeGpu('examples/kernels-webgpu.mjs on a device of its own', () => {
  it('agrees with the reference engine', () => {
    const {status, stdout} = spawnSync(process.execPath, [pathOf('kernels-webgpu.mjs')], {encoding: 'utf8'});
    const [, mean, difference] = /importance (\S+), within (\S+) of the reference/.exec(stdout) ?? [];
    expect(Number(mean)).toBeGreaterThan(0.1);
    expect(Number(difference)).toBeLessThan(1e-4);
    expect(status).toBe(0);
  });
});
