/** examples/sequence.mjs, as a reader of docs/experiments.md runs it. */
import {spawnSync} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {expect, it} from 'vitest';
import {describeAddon} from './native.js';

describeAddon('examples/sequence.mjs', () => {
  it('shows that MAS and EWC keep what fine-tuning forgets', () => {
    const example = fileURLToPath(new URL('../examples/sequence.mjs', import.meta.url));
    const {status, stdout, stderr} = spawnSync(process.execPath, [example], {encoding: 'utf8'});
    expect(status, stderr).toBe(0);
    const lines = stdout.trim().split('\n');
    const [tuned, mas, ewc] = lines.map((line) => {
      const [, name, ends, lost] = /^(.+): ends at (\S+) %, forgets (\S+) points/.exec(line)!;
      return {name, ends: Number(ends), lost: Number(lost)};
    });
    expect([tuned, mas, ewc].map(({name}) => name)).toEqual(['fine-tuning', 'MAS', 'EWC']);
    for (const method of [mas, ewc]) {
      expect(method.ends).toBeGreaterThan(tuned.ends + 10);
      expect(method.lost).toBeLessThan(tuned.lost - 20);
    }
  });
});
