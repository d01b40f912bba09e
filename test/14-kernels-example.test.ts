/** The example of engram/kernels, as a reader of the README runs it, with the addon and without. */
import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {describe, expect, it} from 'vitest';
import {describeAddon} from './native.js';

const example = fileURLToPath(new URL('../examples/kernels.mjs', import.meta.url));

for (const [name, about, env] of [
  ['native', describeAddon, {}],
  ['reference', describe, {ENGRAM_NATIVE: 'skip'}],
] as const) {
  about(`examples/kernels.mjs on the ${name} engine`, () => {
    it('agrees with its plain loops and stops its long kernel', () => {
      const {status, stdout} = spawnSync(process.execPath, [example], {
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
